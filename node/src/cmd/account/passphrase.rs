//! Where a passphrase comes from: a file, the terminal without an echo, or the first line of stdin.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// No passphrase is longer.
const MAX: u64 = 4096;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Take the passphrase from this file's first line [default: ask, or read stdin if it is no terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Args {
    /// Of a key that there is.
    pub(super) fn of(&self, key: &Path) -> Result<Vec<u8>> {
        match self.given()? {
            Some(passphrase) => Ok(passphrase),
            None => prompt(&format!("passphrase of {}: ", key.display())),
        }
    }

    /// Of a new key: who types it does so twice.
    pub(super) fn new_one(&self) -> Result<Vec<u8>> {
        if let Some(passphrase) = self.given()? {
            return Ok(passphrase);
        }
        let passphrase = prompt("passphrase of the new key (without it the key is lost): ")?;
        if prompt("the same again: ")? != passphrase {
            bail!("the two passphrases differ");
        }
        Ok(passphrase)
    }

    /// From a file or from stdin; none if somebody sits there to be asked.
    fn given(&self) -> Result<Option<Vec<u8>>> {
        match &self.passphrase_file {
            Some(path) => {
                let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                line(BufReader::new(file)).with_context(|| format!("cannot read {}", path.display())).map(Some)
            }
            None if std::io::stdin().is_terminal() => Ok(None),
            None => line(std::io::stdin().lock()).context("cannot read the passphrase from stdin").map(Some),
        }
    }
}

/// The first line, without its end.
fn line(input: impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    input.take(MAX + 2).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() as u64 > MAX {
        bail!("a passphrase has no more than {MAX} bytes");
    }
    if line.is_empty() {
        bail!("the passphrase is empty");
    }
    Ok(line)
}

fn prompt(text: &str) -> Result<Vec<u8>> {
    let typed = rpassword::prompt_password(text).context("cannot ask on the terminal; use --passphrase-file")?;
    line(format!("{typed}\n").as_bytes())
}
