//! Values that several commands take on their command lines, from text to meaning.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use post_core::drive::{DirDrive, Drive};
use post_core::params::NetworkParams;

/// `--network`: which parameters apply.
#[derive(clap::Args)]
pub(crate) struct Network {
    /// mainnet, devnet, or a TOML file with the network's parameters
    #[arg(long = "network", value_name = "NETWORK", default_value = "mainnet")]
    name: String,
}

impl Network {
    /// A preset by name, anything else as a file.
    pub(crate) fn resolve(&self) -> Result<NetworkParams> {
        Ok(match self.name.as_str() {
            "mainnet" => NetworkParams::mainnet(),
            "devnet" => NetworkParams::devnet(),
            file => NetworkParams::from_file(Path::new(file))?,
        })
    }
}

/// `--data`: the directories of one set.
#[derive(clap::Args)]
pub(crate) struct Data {
    /// Directories of the set, in any order; repeatable
    #[arg(long = "data", value_name = "DIR", required = true, num_args = 1..)]
    dirs: Vec<PathBuf>,
}

impl Data {
    /// As given.
    pub(crate) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Opens them for reading.
    pub(crate) fn open(&self) -> Result<Vec<Box<dyn Drive>>> {
        open_dirs(&self.dirs)
    }
}

/// Opens directories that must exist, for reading. One that is given twice counts once.
pub(crate) fn open_dirs(dirs: &[PathBuf]) -> Result<Vec<Box<dyn Drive>>> {
    let mut seen = Vec::new();
    let mut drives: Vec<Box<dyn Drive>> = Vec::new();
    for dir in dirs {
        let drive = DirDrive::existing(dir)?;
        let real = std::fs::canonicalize(dir).with_context(|| format!("cannot resolve {}", dir.display()))?;
        if !seen.contains(&real) {
            seen.push(real);
            drives.push(Box::new(drive));
        }
    }
    Ok(drives)
}

/// `--device`, `--gpu-memory` and `--threads`: what computes.
#[derive(Default, clap::Args)]
pub(crate) struct Compute {
    /// Device to compute on, an id from `post devices`, repeatable; all named ones work together, each is named once
    /// [default: every GPU that is no software, or the cpu where there is none or the work is short]
    #[arg(long = "device", value_name = "ID")]
    pub(crate) devices: Vec<String>,
    /// Memory to take of each GPU [default: 90 % of it, 75 % with a screen on it]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) gpu_memory: Option<u64>,
    /// CPU threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// `path=DIR[,size=SIZE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriveSpec {
    pub(crate) path: PathBuf,
    /// Most bytes of the set it may hold.
    pub(crate) size: Option<u64>,
}

/// Parses one `--drive`.
pub(crate) fn drive_spec(text: &str) -> Result<DriveSpec> {
    let Some(rest) = text.strip_prefix("path=") else {
        bail!("a drive is written path=DIR or path=DIR,size=SIZE");
    };
    let (path, size) = match rest.rsplit_once(",size=") {
        Some((path, text)) => (path, Some(size(text)?)),
        None => (rest, None),
    };
    if path.is_empty() {
        bail!("the path is empty; a drive is written path=DIR or path=DIR,size=SIZE");
    }
    // A path may hold commas, but what looks like another key is far more often a slip.
    let looks_like_key = |part: &str| {
        let key = part.split('=').next().unwrap_or(part).trim();
        part.trim().is_empty() || (part.contains('=') && key.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    if let Some(part) = path.split(',').skip(1).find(|part| looks_like_key(part)) {
        bail!("`,{part}` is not understood; a drive is written path=DIR or path=DIR,size=SIZE");
    }
    Ok(DriveSpec { path: path.into(), size })
}

/// Powers of 1000 and of 1024.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// A number of bytes: `16000`, `5T`, `4GiB`.
pub(crate) fn size(text: &str) -> Result<u64> {
    let unit = UNITS.iter().find_map(|(name, factor)| text.strip_suffix(name).map(|number| (number, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    // u64's parser would take a leading plus sign.
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let bytes = digits.then(|| number.parse::<u64>().ok()?.checked_mul(factor)).flatten();
    bytes.with_context(|| {
        format!("`{text}` is no size; write bytes as a number, or with K M G T (1000) or KiB MiB GiB TiB (1024)")
    })
}

/// `A..B`, B not included.
pub(crate) fn file_range(text: &str) -> Result<Range<u32>> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    match range {
        Some(range) if range.start < range.end => Ok(range),
        _ => bail!("`{text}` is no range of files; write A..B with A below B, B not included"),
    }
}

/// Hex of any length, also none.
pub(crate) fn hex_bytes(text: &str) -> Result<Vec<u8>> {
    hex::decode(text).with_context(|| format!("`{text}` is not hex"))
}

/// A usage error as one line: what is wrong, and where the help is.
pub(crate) fn one_line(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command given; see `post --help`".into();
    }
    let text = error.render().to_string();
    let wrong = text.split("\n\n").next().unwrap_or(&text);
    let wrong = wrong.split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong);
    // A wrong value comes without a usage line, so the command is taken from the call itself.
    let command = std::env::args().nth(1).filter(|word| COMMANDS.contains(&word.as_str()));
    match command {
        Some(command) => format!("{wrong}; see `post {command} --help`"),
        None => format!("{wrong}; see `post --help`"),
    }
}

const COMMANDS: &[&str] = &[
    "plan", "init", "prove", "serve", "verify", "inspect", "check", "nonce", "grow", "merge", "prune", "link", "bench",
    "demo", "devices", "doctor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("16000", 16_000),
            ("16K", 16_000),
            ("1KiB", 1_024),
            ("5T", 5_000_000_000_000),
            ("2TiB", 2 << 40),
            ("3M", 3_000_000),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "K", "-1", "+1", "1.5G", "1 G", "1g", "1kb", "18446744073709551616", "18446745T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn drives() {
        let spec = |path: &str, size| DriveSpec { path: path.into(), size };
        assert_eq!(drive_spec("path=/a").unwrap(), spec("/a", None));
        assert_eq!(drive_spec("path=/a,b,size=5K").unwrap(), spec("/a,b", Some(5000)));
        for text in [
            "/a",
            "path=",
            "size=5K",
            "path=/a,sise=5K",
            "path=/a,size=1,size=2",
            "path=/a, size=1K",
            "path=/a,",
            "path=,size=5K",
            "path=/a,size=",
            "path=/a,size=x",
        ] {
            assert!(drive_spec(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(file_range("0..3").unwrap(), 0..3);
        for text in ["", "3", "..", "1..", "..2", "2..2", "3..1", "a..b", "0..=3", "0..4294967296"] {
            assert!(file_range(text).is_err(), "{text}");
        }
    }
}
