//! Where `POST_TRACE` is set, the program runs under strace, and the system calls that it made are looked at: none may take
//! a label away. `POST_TRACE_LOG` names a file that gets a line for each call that was looked at.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

const CALLS: &str = "unlink,unlinkat,rename,renameat,renameat2,truncate,ftruncate,open,openat,openat2,creat";

/// One run of the program, watched or not.
pub(crate) struct Trace(Option<NamedTempFile>);

impl Trace {
    pub(crate) fn new() -> Self {
        Self(std::env::var_os("POST_TRACE").map(|_| NamedTempFile::new().unwrap()))
    }

    /// The program, to be given its arguments.
    pub(crate) fn command(&self, program: &Path) -> assert_cmd::Command {
        let Some(file) = &self.0 else { return assert_cmd::Command::new(program) };
        let mut command = assert_cmd::Command::new("strace");
        // `-y` names the files behind descriptors, `-s 0` leaves out what is read and written.
        command.args(["-f", "--seccomp-bpf", "-qq", "-y", "-s", "0", "-e", &format!("trace={CALLS}"), "-o"]);
        command.arg(file.path()).arg("--").arg(program);
        command
    }

    /// Looks at what the run did. To be called when it is over.
    #[track_caller]
    pub(crate) fn check<S: AsRef<OsStr>>(&self, args: &[S]) {
        let Some(file) = &self.0 else { return };
        let text = String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned();
        // Whatever a program does, it loads its libraries first.
        assert!(text.contains("open"), "nothing was traced, though POST_TRACE asks for it");
        let command = args.first().map(|arg| arg.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        let taken: Vec<String> = calls(&text).into_iter().filter(|call| takes_labels(call, &command)).collect();
        assert!(taken.is_empty(), "{command} took labels away:\n{}", taken.join("\n"));
        if let Some(log) = std::env::var_os("POST_TRACE_LOG") {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
            log.write_all(format!("{command}\n").as_bytes()).unwrap();
        }
    }
}

/// The calls of a trace. Where threads came between the two halves of a call, these are joined.
fn calls(text: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (thread, rest) = line.trim_start().split_once(' ').unwrap_or(("", line));
        let rest = rest.trim_start();
        if let Some(half) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(thread, half);
        } else if let Some((_, half)) = rest.strip_prefix("<... ").and_then(|half| half.split_once("resumed>")) {
            calls.push(format!("{}{half}", begun.remove(thread).unwrap_or_default()));
        } else {
            calls.push(rest.to_owned());
        }
    }
    calls
}

/// Whether a call removed, moved, replaced or shortened a data file. `prune` may; `grow` may give a new file its name where
/// there is none of that name.
fn takes_labels(call: &str, command: &str) -> bool {
    let Some((name, rest)) = call.split_once('(') else { return false };
    let Some((args, result)) = rest.rsplit_once(" = ") else { return false };
    // With `-y` a descriptor's path follows it.
    let succeeded = result.starts_with(|c: char| c.is_ascii_digit());
    if !succeeded || !names_data_file(args) || command == "prune" {
        return false;
    }
    match name {
        "open" | "openat" | "openat2" => args.contains("O_TRUNC"),
        "renameat2" => command != "grow" || !args.contains("RENAME_NOREPLACE"),
        _ => true,
    }
}

/// Whether `postdata_<number>.bin` ends one of the paths.
fn names_data_file(args: &str) -> bool {
    args.split("postdata_").skip(1).any(|after| {
        let end = after.trim_start_matches(|c: char| c.is_ascii_digit());
        end.len() < after.len() && end.strip_prefix(".bin").is_some_and(|end| end.starts_with(['"', '>']))
    })
}

#[test]
fn calls_that_take_labels_are_told_from_others() {
    let trace = r#"
100 openat(AT_FDCWD</tmp>, "one/postdata_0.bin", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 3</tmp/one/postdata_0.bin>
100 openat(AT_FDCWD</tmp>, "one/postdata_1.bin", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 3</tmp/one/postdata_1.bin>
100 openat(AT_FDCWD</tmp>, "one/.post/record.new", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 3</tmp/one/.post/record.new>
100 rename("one/.post/record.new", "one/.post/journal") = 0
100 rename("one/.post/metadata.new", "one/postdata_metadata.json") = 0
100 unlink("one/postdata_2.bin") = -1 ENOENT (No such file or directory)
100 unlink("one/postdata_3.bin") = 0
100 unlink("one/postdata_3.bin.bak") = 0
100 ftruncate(5</tmp/one/postdata_4.bin>, 0 <unfinished ...>
101 rename("one/postdata_5.bin", "two" <unfinished ...>
100 <... ftruncate resumed>) = 0
101 <... rename resumed>) = 0
100 renameat2(AT_FDCWD</tmp>, "x", AT_FDCWD</tmp>, "one/postdata_6.bin", RENAME_NOREPLACE) = 0
100 creat("/tmp/postdata_7.bin", 0666) = 4</tmp/postdata_7.bin>
100 +++ exited with 0 +++"#;
    let taken = |command| -> Vec<char> {
        let taken = calls(trace).into_iter().filter(|call| takes_labels(call, command));
        let number = |call: String| call.split("postdata_").nth(1).and_then(|rest| rest.chars().next()).unwrap();
        taken.map(number).collect()
    };
    assert_eq!(taken("init"), ['1', '3', '4', '5', '6', '7']);
    assert_eq!(taken("grow"), ['1', '3', '4', '5', '7']);
    assert!(taken("prune").is_empty());
}
