//! How far synchronization is: a bar with the time that is left for people, now and then a line for logs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use node::sync::Progress;
use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

/// Between two lines.
const LINES: Duration = Duration::from_secs(10);

/// The bar; hidden where stderr is no terminal, and between two passes.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("syncing {wide_bar} {pos}/{len} ATXs, {eta} left");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// Follows the node until it is synced. Later passes are short, and nobody's business.
    pub(super) async fn follow(self, mut progress: watch::Receiver<Option<Progress>>) {
        let terminal = std::io::stderr().is_terminal();
        let mut told = tokio::time::Instant::now();
        // The node may have ended.
        while progress.changed().await.is_ok() {
            let Some(now) = *progress.borrow_and_update() else { continue };
            if now.synced {
                break;
            }
            if now.total == 0 {
                continue;
            }
            let (done, of) = (now.before + now.delivered, now.total.max(now.before + now.delivered));
            if terminal {
                if self.0.is_hidden() {
                    self.0.set_draw_target(ProgressDrawTarget::stderr());
                }
                self.0.set_length(of);
                self.0.set_position(done);
            } else if told.elapsed() >= LINES {
                told = tokio::time::Instant::now();
                tracing::info!("syncing: {done} of {of} ATXs");
            }
        }
        self.0.finish_and_clear();
    }
}

/// Log lines go above the bar.
impl<'a> MakeWriter<'a> for Bar {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { bar: self.0.clone(), bytes: Vec::new() }
    }
}

/// A line that is being written.
pub(super) struct Line {
    bar: ProgressBar,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Where stderr is closed nobody can be told.
        self.bar.suspend(|| {
            let _ = std::io::stderr().write_all(&self.bytes);
        });
    }
}
