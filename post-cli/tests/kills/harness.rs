//! Starting, killing and resuming the program.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use crate::trace::Trace;

/// How many times a run is killed on its way to the end.
const KILLS_A_RUN: u64 = 8;

/// How often the progress on disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Only against a program that hangs; no verdict depends on it.
const HANG: Duration = Duration::from_secs(120);

/// The loop of one command: how often to kill it → where the kills fell.
pub(crate) struct Loop {
    pub(crate) name: &'static str,
    pub(crate) run: fn(u64, &mut Random) -> Histogram,
}

/// One command and everything that is to be known of it.
pub(crate) struct Job<'a> {
    pub(crate) args: Vec<String>,
    /// Puts what the command starts from into an empty directory.
    pub(crate) prepare: &'a dyn Fn(&Path),
    /// How much of the work is done, 0 to 1, where the disk tells; else the clock does.
    pub(crate) progress: Option<&'a dyn Fn(&Path) -> f64>,
    /// All that must be the same in the end, by name.
    pub(crate) result: &'a dyn Fn(&Path) -> BTreeMap<String, Vec<u8>>,
    /// Looks at each run: the time of an undisturbed one, what `progress` said before, and what it printed, which ends
    /// anywhere when it was killed.
    pub(crate) resumed: &'a dyn Fn(Duration, f64, &str),
}

impl Job<'_> {
    /// Kills the command so often, resumes it each time, and compares every end with that of an undisturbed run.
    pub(crate) fn kill_loop(&self, kills: u64, random: &mut Random) -> Histogram {
        let (expected, whole) = self.undisturbed();
        let mut histogram = Histogram::default();
        while histogram.kills() < kills {
            let root = tempfile::tempdir().unwrap();
            (self.prepare)(root.path());
            let at_most = KILLS_A_RUN.min(kills - histogram.kills());
            let stdout = self.killed_then_finished(root.path(), at_most, whole, random, &mut histogram);
            self.assert_same(self.end(root.path(), stdout), &expected);
        }
        histogram
    }

    /// What an undisturbed run leaves, and how long one takes: of two, the shorter.
    fn undisturbed(&self) -> (BTreeMap<String, Vec<u8>>, Duration) {
        let run = || {
            let root = tempfile::tempdir().unwrap();
            (self.prepare)(root.path());
            let (stdout, took) = self.finish(root.path());
            (self.end(root.path(), stdout), took)
        };
        let ((expected, first), (again, second)) = (run(), run());
        self.assert_same(again, &expected);
        (expected, first.min(second))
    }

    fn killed_then_finished(
        &self,
        root: &Path,
        at_most: u64,
        whole: Duration,
        random: &mut Random,
        histogram: &mut Histogram,
    ) -> Vec<u8> {
        // On the way to the end the moments ascend where progress is kept on disk.
        let mut moments: Vec<f64> = (0..at_most).map(|_| random.fraction()).collect();
        if self.progress.is_some() {
            moments.sort_by(f64::total_cmp);
        }
        let mut done = 0.0;
        for moment in moments {
            let lengths = data_lengths(root);
            let output = tempfile::NamedTempFile::new().unwrap();
            let killed = self.kill_at(root, moment, whole, random, output.reopen().unwrap());
            let stdout = std::fs::read(output.path()).unwrap();
            (self.resumed)(whole, done, &String::from_utf8_lossy(&stdout));
            match killed {
                Some(fraction) => histogram.count(fraction),
                // It was faster than expected.
                None => return stdout,
            }
            for (path, length) in data_lengths(root) {
                let before = lengths.get(&path).copied().unwrap_or(0);
                assert!(length >= before, "{}: {before} bytes became {length}", path.display());
            }
            done = self.progress.map_or(0.0, |progress| progress(root));
        }
        let (stdout, _) = self.finish(root);
        (self.resumed)(whole, done, &String::from_utf8_lossy(&stdout));
        stdout
    }

    /// Kills a run when so much of the work is done, and says how much that was; `None`: the run ended by itself before.
    fn kill_at(&self, root: &Path, moment: f64, whole: Duration, random: &mut Random, stdout: File) -> Option<f64> {
        let mut child = self.start(root, stdout);
        let started = Instant::now();
        // Not just behind a write each time.
        let later = whole.mul_f64(0.04 * random.fraction() * (1.0 - moment));
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {:?} in {}", self.args, root.display());
                return None;
            }
            let reached = match self.progress {
                Some(progress) => progress(root) >= moment,
                None => started.elapsed() >= whole.mul_f64(moment),
            };
            if reached {
                if self.progress.is_some() {
                    sleep(later);
                }
                break;
            }
            assert!(started.elapsed() < HANG, "{:?} hangs", self.args);
            sleep(LOOK_EVERY);
        }
        let clock = started.elapsed();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            return None;
        }
        assert_eq!(status.code(), None, "it was not the kill that ended it: {status}");
        Some(self.progress.map_or(clock.as_secs_f64() / whole.as_secs_f64(), |progress| progress(root)))
    }

    fn start(&self, root: &Path, stdout: File) -> Child {
        std::process::Command::new(cargo_bin!("post"))
            .args(&self.args)
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Runs the command to its end: what it printed, and how long that took.
    fn finish(&self, root: &Path) -> (Vec<u8>, Duration) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let started = Instant::now();
        (run(root, &args), started.elapsed())
    }

    /// All that has to be the same.
    fn end(&self, root: &Path, stdout: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
        let mut end = (self.result)(root);
        if self.args[0] == "prove" {
            end.insert("the proof".into(), stdout);
        }
        end
    }

    fn assert_same(&self, got: BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
        assert!(got.keys().eq(expected.keys()), "{:?}: {:?}, not {:?}", self.args, got.keys(), expected.keys());
        for (name, bytes) in expected {
            assert!(got[name] == *bytes, "{:?}: {name} differs from that of an undisturbed run", self.args);
        }
    }
}

/// Runs `post` in `root` to its end and returns what it printed.
pub(crate) fn run(root: &Path, args: &[&str]) -> Vec<u8> {
    let trace = Trace::new();
    let output = trace.command(cargo_bin!("post")).args(args).current_dir(root).timeout(HANG).output();
    let output = output.expect("the program starts");
    trace.check(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}\n{told}", output.status);
    output.stdout
}

/// The lengths of all data files below a directory.
fn data_lengths(root: &Path) -> BTreeMap<PathBuf, u64> {
    crate::sets::data_files(root).into_iter().map(|(path, about)| (path, about.len())).collect()
}

/// How many kills fell into which tenth of the work.
#[derive(Default)]
pub(crate) struct Histogram(Vec<f64>);

impl Histogram {
    fn count(&mut self, fraction: f64) {
        self.0.push(fraction.clamp(0.0, 1.0));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(crate) fn kills(&self) -> u64 {
        self.0.len() as u64
    }

    /// Kills between the first and the last hundredth of the work.
    pub(crate) fn within(&self) -> u64 {
        self.0.iter().filter(|fraction| (0.01..=0.99).contains(*fraction)).count() as u64
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bins = [0; 10];
        self.0.iter().for_each(|fraction| bins[((fraction * 10.0) as usize).min(9)] += 1);
        write!(f, "{} kills, by tenths of the work {bins:?}, {} within 1 % to 99 %", self.kills(), self.within())
    }
}

/// A small generator (splitmix64), so that moments can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
