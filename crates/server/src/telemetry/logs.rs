//! Log lines: which are written, and how they look.

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{ParseError, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry,
};

use super::{LogFormat, Settings, TraceLayer};

/// Why there would be no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter makes no sense.
    #[error("log_filter must be LEVEL or TARGET=LEVEL, with commas between them")]
    Filter(#[source] ParseError),
}

/// All that becomes of the program's lines and spans. Made once, and set for the whole process.
pub fn subscriber<W>(
    settings: &Settings,
    writer: W,
    traces: Option<TraceLayer>,
) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.log_filter).map_err(LogError::Filter)?;
    let lines = fmt::layer().with_ansi(false).with_writer(writer);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let spans = filter_fn(is_traced).with_max_level_hint(LevelFilter::DEBUG);
    let traces = traces.map(|layer| layer.with_filter(spans));
    Ok(registry().with(lines.with_filter(filter)).with(traces))
}

/// Requests, use cases and deliveries are traced, whatever is logged.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && metadata.target().starts_with("countersign::")
        && *metadata.level() <= Level::DEBUG
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(settings: &Settings, tell: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(settings, move || writer.clone(), None).unwrap();
        tracing::subscriber::with_default(subscriber, tell);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_of_json_is_one_object_with_its_fields_beside_the_message() {
        let settings = Settings { log_format: LogFormat::Json, ..Settings::default() };
        let text = lines_of(&settings, || {
            let id = "a\"\nb";
            tracing::event!(target: "countersign::request", Level::INFO, correlation.id = id, "told");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["correlation.id"], "a\"\nb");
        assert_eq!((&line["message"], &line["level"]), (&"told".into(), &"INFO".into()));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn the_filter_knows_levels_by_target() {
        let settings = Settings {
            log_filter: "warn,countersign::request=debug".to_owned(),
            ..Settings::default()
        };
        let text = lines_of(&settings, || {
            tracing::info!(target: "countersign_store", "hidden");
            tracing::warn!(target: "h2", "shown");
            tracing::debug!(target: "countersign::request", "told");
        });
        assert!(
            !text.contains("hidden") && text.contains("shown") && text.contains("told"),
            "{text}"
        );
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused() {
        let settings =
            Settings { log_filter: "countersign=loud".to_owned(), ..Settings::default() };
        assert!(subscriber(&settings, io::sink, None).is_err());
    }
}
