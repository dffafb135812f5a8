//! A child process with its log in a file, which does not outlive its owner.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a program may take until it says that it is there.
const START: Duration = Duration::from_secs(60);

/// A running program.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// What it took of memory until it was killed.
    memory: Option<u64>,
}

impl Process {
    /// Starts a program; its stderr is appended to `log`.
    pub(super) fn start<S: AsRef<OsStr>>(program: &Path, args: &[S], log: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log: log.to_path_buf(), memory: None })
    }

    /// The first line that it writes to stdout; what follows is read and forgotten.
    pub(super) fn first_line(&mut self) -> Result<String> {
        let stdout = self.child.stdout.take().context("stdout was read before")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The first one is waited for, the others are not.
                let _ = sender.send(line);
            }
        });
        receiver.recv_timeout(START).map_err(|_| anyhow::anyhow!("a program did not start: {}", self.complaint()))
    }

    /// Waits for its end; what it said when it failed.
    pub(super) fn finish(mut self) -> Result<()> {
        let status = self.child.wait().context("a child process is lost")?;
        anyhow::ensure!(status.success(), "a program failed: {}", self.complaint());
        Ok(())
    }

    /// Its exit status, once it has ended.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("a child process is lost")
    }

    /// Kills it (SIGKILL).
    pub(super) fn kill(&mut self) -> Result<()> {
        self.memory = self.peak_memory();
        self.child.kill().context("a child process can't be killed")?;
        self.child.wait().context("a child process is lost")?;
        Ok(())
    }

    /// What it has taken of memory at most, in bytes. `None` where the system does not say.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        if self.memory.is_some() {
            return self.memory;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    }

    /// The last line of its log.
    pub(super) fn complaint(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        format!("{last} (all of it in {})", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
