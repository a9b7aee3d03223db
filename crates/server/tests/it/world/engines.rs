//! Tests that run on both engines.

/// Runs each of these `async fn name(w: &mut World)` on both engines.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(on_engine!($name, countersign_store::Engine::Sqlite);)*
        }
        mod postgres {
            $(on_engine!($name, countersign_store::Engine::Postgres);)*
        }
    };
}

/// Runs `async fn name(w: &mut World)` on one engine.
macro_rules! on_engine {
    ($name:ident, $engine:expr) => {
        #[tokio::test]
        async fn $name() {
            if !$crate::database::is_skipped($engine) {
                let mut w = $crate::world::World::on($engine).await;
                super::$name(&mut w).await;
                w.end().await;
            }
        }
    };
}
