//! Running `post`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use assert_cmd::cargo::cargo_bin;

use crate::until;

/// A call in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run(Vec<String>);

impl Run {
    pub(crate) fn add(mut self, words: &[&str]) -> Self {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub(crate) fn set(self, flag: &str, value: impl ToString) -> Self {
        self.without(flag).add(&[flag, &value.to_string()])
    }

    pub(crate) fn without(mut self, flag: &str) -> Self {
        while let Some(at) = self.0.iter().position(|word| word == flag) {
            self.0.drain(at..(at + 2).min(self.0.len()));
        }
        self
    }

    pub(crate) fn start(&self) -> Program {
        Program::start(&self.0)
    }

    /// For calls that are refused.
    pub(crate) fn ends(&self) -> End {
        self.start().end()
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) err: String,
}

impl End {
    /// Panics with everything that was said unless it ended so and said all of `texts` in its last line.
    #[track_caller]
    pub(crate) fn refused(&self, texts: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.err);
        let last = self.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && texts.iter().all(|text| last.contains(text)), "{}", self.err);
    }
}

/// Runs a command that ends by itself, in `root`.
pub(crate) fn post(root: &Path, args: &[&str]) -> End {
    let output = Command::new(cargo_bin!("post")).args(args).current_dir(root).output().expect("the program starts");
    End { code: output.status.code(), err: String::from_utf8(output.stderr).unwrap() }
}

/// A running `post`, killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    fn start(args: &[String]) -> Self {
        let mut child = Command::new(cargo_bin!("post"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&lines);
        let reader = std::thread::spawn(move || stderr.lines().for_each(|line| to.lock().unwrap().push(line.unwrap())));
        Self { child, lines, reader: Some(reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that was said so far.
    pub(crate) fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// How many lines hold this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until a line holds all of `texts`.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) {
        until(&format!("{texts:?} in:\n{}", self.said()), || {
            let lines = self.lines.lock().unwrap();
            lines.iter().any(|line| texts.iter().all(|text| line.contains(text))).then_some(())
        });
    }

    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &command]).status().expect("a shell").success());
    }

    /// As a power cut does.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.end_of().err
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> End {
        until("the program ends", || self.child.try_wait().unwrap());
        self.end_of()
    }

    fn end_of(&mut self) -> End {
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        End { code, err: self.said() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("post said:\n{}", self.said());
        }
    }
}
