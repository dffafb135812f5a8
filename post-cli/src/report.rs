//! Progress for people and programs: bars on a terminal, plain lines elsewhere, JSON events, or nothing.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use post_core::watch::{Event, Watch};
use serde_json::{Value, json};

const LINE_EVERY: Duration = Duration::from_secs(5);
const JSON_EVERY: Duration = Duration::from_secs(1);
/// Of what goes on for months.
const LOG_EVERY: Duration = Duration::from_secs(60);

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// One line to stdout. A closed pipe ends the output, not the program.
#[must_use]
pub(crate) fn print(line: &str) -> bool {
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

/// One line to stderr.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Text from outside, which may hold anything, without what would move a terminal's cursor.
pub(crate) fn plain(text: impl AsRef<str>) -> String {
    text.as_ref().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// What went wrong, always one line.
pub(crate) fn complain(text: &str) {
    say(&format!("error: {}", plain(text.split_whitespace().collect::<Vec<_>>().join(" "))));
}

/// An error and its causes; a cause that the text before it tells already is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        next = cause.source();
    }
    text
}

/// Where progress goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Log,
    Json,
    Quiet,
}

/// Receives the events of a job.
pub(crate) struct Reporter {
    style: Style,
    /// Before each line: which of several jobs it is about.
    prefix: String,
    state: Mutex<State>,
}

/// The phase at hand.
struct State {
    bar: Option<ProgressBar>,
    started: Instant,
    last_shown: Instant,
    /// What was there when the phase started, so that rates count this run's work only.
    first: u64,
    total: u64,
    what: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    Labels,
    Pow { group: u32, last_group: u32, expected: f64 },
    Scan { pass: u32, first_nonce: u32, last_nonce: u32 },
}

impl Reporter {
    fn new(style: Style) -> Self {
        let now = Instant::now();
        let state = State { bar: None, started: now, last_shown: now, first: 0, total: 0, what: Phase::Labels };
        Self { style, prefix: String::new(), state: Mutex::new(state) }
    }

    /// Bars when stderr is a terminal, else lines; `json` turns both into events on stdout.
    pub(crate) fn for_people_or_json(json: bool) -> Self {
        Self::new(match (json, std::io::stderr().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        })
    }

    /// Lines on stderr, now and then, each beginning with `prefix`: for one of several jobs that take turns for months.
    pub(crate) fn log(prefix: String) -> Self {
        let mut reporter = Self::new(Style::Log);
        reporter.prefix = prefix;
        reporter
    }

    /// Shows nothing but still carries the stop flag.
    pub(crate) fn quiet() -> Self {
        Self::new(Style::Quiet)
    }

    /// A remark between two bars.
    pub(crate) fn note(&self, text: &str) {
        if matches!(self.style, Style::Bars | Style::Lines | Style::Log) {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &state.bar {
                Some(bar) => bar.suspend(|| self.line(text)),
                None => self.line(text),
            }
        }
    }

    fn line(&self, text: &str) {
        say(&format!("{}{text}", self.prefix));
    }

    /// For programs: how a command ended that did not go well.
    pub(crate) fn emit_end<T>(&self, result: &anyhow::Result<T>) {
        if let Err(error) = result {
            let event = if crate::stop::requested() { "stopped" } else { "error" };
            self.emit(&json!({ "event": event, "message": error.to_string() }));
        }
    }

    /// Data for people, on stdout.
    pub(crate) fn data(&self, text: &str) {
        if self.style != Style::Json {
            let _ = print(text);
        }
    }

    /// A finding: a line on stdout for people, an event for programs.
    pub(crate) fn found(&self, text: &str, event: &Value) {
        self.emit(event);
        if matches!(self.style, Style::Bars | Style::Lines) {
            let print = || _ = print(&plain(text));
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &state.bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            }
        }
    }

    /// A device is not used any more, or was not taken at all.
    pub(crate) fn device_out(&self, device: &str, reason: &str) {
        let reason = plain(reason.split_whitespace().collect::<Vec<_>>().join(" "));
        self.emit(&json!({ "event": "device_out", "device": device, "reason": reason }));
        self.note(&format!("device {device} is not used any more: {reason}"));
    }

    /// An event for programs.
    pub(crate) fn emit(&self, event: &Value) {
        if self.style == Style::Json {
            let _ = print(&event.to_string());
        }
    }

    fn begin(&self, what: Phase, first: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        let bar = (self.style == Style::Bars).then(|| bar(first, total));
        *state = State { bar, started: now, last_shown: now, first, total, what };
    }

    /// Shows how far the phase is, which may be less far than before: what a device made wrong does not count. Plain lines
    /// and events come every few seconds only, and at the end.
    fn advance(&self, done: u64) {
        if self.style == Style::Quiet {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.style == Style::Bars && state.bar.is_none() && done < state.total {
            // The end was reached and is ahead again.
            state.bar = Some(bar(done, state.total));
        }
        if let Some(bar) = &state.bar {
            bar.set_position(done);
            bar.set_message(state.text(done));
            if done >= state.total {
                bar.finish_and_clear();
                state.bar = None;
            }
            return;
        }
        let every = match self.style {
            Style::Json => JSON_EVERY,
            Style::Log => LOG_EVERY,
            _ => LINE_EVERY,
        };
        if state.last_shown.elapsed() < every && done < state.total {
            return;
        }
        state.last_shown = Instant::now();
        match self.style {
            Style::Lines | Style::Log => self.line(&state.text(done)),
            Style::Json => {
                let _ = print(&state.json(done).to_string());
            }
            Style::Bars | Style::Quiet => {}
        }
    }
}

/// A bar on stderr.
fn bar(position: u64, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    // The template is fixed text that parses.
    if let Ok(style) = ProgressStyle::with_template("{bar:16} {percent:>3} %  {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_position(position);
    bar
}

impl State {
    /// Per second, of this run.
    fn rate(&self, done: u64) -> f64 {
        done.saturating_sub(self.first) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }

    fn eta(&self, done: u64) -> Option<Duration> {
        let rate = self.rate(done);
        let left = self.total.saturating_sub(done) as f64;
        Duration::try_from_secs_f64(left / rate).ok()
    }

    fn text(&self, done: u64) -> String {
        let rate = self.rate(done);
        let eta = self.eta(done).map_or("unknown".into(), human_duration);
        match self.what {
            Phase::Labels => format!(
                "{done} of {} labels, {rate:.0} labels/s, {:.3} MiB/s, ETA {eta}",
                self.total,
                rate * 16.0 / MIB
            ),
            Phase::Pow { group, last_group, expected } => {
                format!(
                    "k2pow: group {group} of {last_group}, {done} hashes, {rate:.0} H/s, about {expected:.0} expected"
                )
            }
            Phase::Scan { pass, first_nonce, last_nonce } => format!(
                "pass {}, nonces {first_nonce} to {last_nonce}: {:.2} of {:.2} GiB, {:.2} GiB/s, ETA {eta}",
                pass + 1,
                done as f64 * 16.0 / GIB,
                self.total as f64 * 16.0 / GIB,
                rate * 16.0 / GIB
            ),
        }
    }

    fn json(&self, done: u64) -> Value {
        let eta = self.eta(done).map(|eta| eta.as_secs());
        json!({
            "event": "progress", "labels": done, "total": self.total,
            "labels_per_s": self.rate(done).round(), "eta_s": eta,
        })
    }
}

impl Watch for Reporter {
    fn event(&self, event: Event) {
        match event {
            Event::InitPlanned { node_id, units, bytes, files, set_files, drives } => {
                self.emit(&json!({
                    "event": "plan", "node_id": node_id, "units": units, "set_bytes": bytes,
                    "files": files, "set_files": set_files, "drives": drives,
                }));
                let size = human_bytes(bytes);
                self.note(&format!(
                    "node {node_id}: units: {units}, {size}, files: {set_files} ({files} in this run), drives: {drives}"
                ));
            }
            Event::DriveOut { drive, reason, files } => {
                self.emit(&json!({ "event": "drive_out", "drive": drive, "reason": reason, "files": files }));
                let drive = plain(drive);
                self.note(&format!("drive {drive} is not used any more, {} files wait for it: {reason}", files.len()));
            }
            Event::InitStarted { total, done } => {
                self.emit(&json!({ "event": "started", "labels": done, "total": total }));
                if done > 0 && done < total {
                    self.note(&format!("continuing: {done} of {total} labels are there already"));
                }
                self.begin(Phase::Labels, done, total);
            }
            Event::Labels { done, .. } => self.advance(done),
            Event::VrfRescanStarted { labels } => {
                self.note(&format!(
                    "taking over {labels} labels that were there already: reading them for the VRF nonce"
                ));
                self.emit(&json!({ "event": "vrf_rescan", "labels": labels }));
                self.begin(Phase::Labels, 0, labels);
            }
            Event::VrfRescan { labels } => self.advance(labels),
            Event::VrfSearchPastEnd { from } => {
                self.note(&format!(
                    "no label of this set is below the VRF threshold (one set in 3000); searching on from index {from}"
                ));
                self.emit(&json!({ "event": "vrf_search_past_end", "from": from }));
            }
            Event::ProofContinued { pass, done, labels, pows } => {
                let percent = 100.0 * done as f64 / labels.max(1) as f64;
                self.note(&format!("continuing: {percent:.0} % of pass {} is done, {pows} k2pows are kept", pass + 1));
            }
            Event::ProgressNotKept { reason } => {
                self.note(&format!("progress is not kept, an interrupted proof starts again: {}", plain(reason)));
            }
            Event::CheckStarted { labels, done } => {
                self.emit(&json!({ "event": "started", "labels": done, "total": labels }));
                if done > 0 {
                    self.note(&format!("continuing: {done} of {labels} labels were looked at already"));
                }
                self.begin(Phase::Labels, done, labels);
            }
            Event::Checked { labels } => self.advance(labels),
            Event::PowStarted { groups, expected_hashes } => {
                let last_group = groups.end.saturating_sub(1);
                self.begin(Phase::Pow { group: groups.start, last_group, expected: expected_hashes }, 0, u64::MAX);
                let count = groups.len();
                self.note(&format!("k2pow for {count} nonce groups, about {expected_hashes:.0} hashes each"));
            }
            Event::DatasetStarted => self.note("building RandomX's dataset (2080 MiB)"),
            Event::PowHashes { hashes } => self.advance(hashes),
            Event::PowFound { group, .. } => {
                let phase = self.state.lock().unwrap_or_else(PoisonError::into_inner).what;
                if let Phase::Pow { last_group, expected, .. } = phase {
                    self.begin(Phase::Pow { group: group + 1, last_group, expected }, 0, u64::MAX);
                }
            }
            Event::PassStarted { pass, nonces, labels, done } => {
                let last_nonce = nonces.end.saturating_sub(1);
                self.begin(Phase::Scan { pass, first_nonce: nonces.start, last_nonce }, done, labels);
            }
            Event::Scanned { labels } => self.advance(labels),
            Event::ReadFailed { from, reason } => {
                let reason = plain(reason);
                self.note(&format!("only a proof from the labels before {from} is possible now: {reason}"));
            }
        }
    }

    fn stop(&self) -> bool {
        crate::stop::requested()
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// `3 d 4 h`, `5 min 12 s`, `8 s`: the two largest units.
pub(crate) fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{m} min {s} s"),
        (0, ..) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h"),
    }
}

/// `64.00 GiB`, `1.5 KiB`: for people.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, size)| bytes >= *size) {
        Some((name, size)) => format!("{:.2} {name}", bytes as f64 / *size as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a lying device made is taken off again, even after the last label.
    #[test]
    fn progress_may_go_back() {
        let reporter = Reporter::new(Style::Bars);
        let position = || reporter.state.lock().unwrap().bar.as_ref().map(ProgressBar::position);
        reporter.event(Event::InitStarted { total: 100, done: 10 });
        for (done, shown) in [(60, Some(60)), (20, Some(20)), (100, None), (5, Some(5)), (100, None)] {
            reporter.event(Event::Labels { done, durable: true });
            assert_eq!(position(), shown, "{done}");
        }
        let state = reporter.state.lock().unwrap();
        assert_eq!((state.rate(5), state.eta(5)), (0.0, None));
        assert!(state.text(5).contains("ETA unknown"), "{}", state.text(5));
    }
}
