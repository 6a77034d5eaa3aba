//! Progress on a terminal; silence everywhere else.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// How often it is drawn anew by itself.
const TICK: Duration = Duration::from_millis(100);

/// How far long work has come, on standard error if that is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work of which nobody knows the end.
    pub(crate) fn unbounded(what: &'static str) -> Self {
        Self::styled(
            ProgressBar::new_spinner(),
            what,
            "{spinner} {msg}: {human_pos} records, {rate}, {elapsed}",
        )
    }

    /// None: somebody is typing or reading there.
    pub(crate) fn silent() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Work of so many steps.
    pub(crate) fn of(what: &'static str, steps: u64) -> Self {
        Self::styled(ProgressBar::new(steps), what, "{msg}: [{bar:40}] {human_pos}/{human_len}, {eta} left")
    }

    fn styled(bar: ProgressBar, what: &'static str, template: &str) -> Self {
        // A template that is wrong shows in the looks alone.
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, text: &mut dyn Write| {
                // A number that cannot be written is not shown.
                let _ = write!(text, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_message(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    pub(crate) fn add(&self, steps: u64) {
        self.0.inc(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
