//! Writes what has a drawn name: one that people type, and that another one may have.

use countersign_store::Work;

use super::App;

/// How often a name is drawn. Of a million that live, one in a million is met.
const DRAWS: u32 = 4;

impl App {
    /// Writes what `draw` gives, and draws anew as long as the name seems to be taken.
    pub(super) async fn write_drawn<W: Work>(
        &self,
        draw: impl Fn() -> W,
        is_taken: impl Fn(&W::Error) -> bool,
    ) -> Result<W::Output, W::Error> {
        for _ in 1..DRAWS {
            match self.store.write(draw()).await {
                Err(error) if is_taken(&error) => {}
                done => return done,
            }
        }
        self.store.write(draw()).await
    }
}
