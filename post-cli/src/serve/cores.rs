//! Which cores of the machine the program may use.

use anyhow::{Context, Result, bail};

/// Numbers of cores, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(Vec<usize>);

/// More than any machine has, and what the system's own sets hold.
const MOST: usize = 1024;

/// Parses `0,2,4-7`.
pub(crate) fn cores(text: &str) -> Result<Cores> {
    let cure = || format!("`{text}` is no list of cores; write their numbers, like 0,2,4-7");
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|core| *core < MOST);
        let (first, last) = number(first).zip(number(last)).with_context(cure)?;
        if first > last {
            bail!(cure());
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Ok(Cores(cores))
}

/// Keeps this thread, and all that it starts, on these cores.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cores: &Cores) -> Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    cores.0.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).context("--pinned-cores names cores that this machine or container does not have")
}

/// Not possible here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: &Cores) -> Result<()> {
    bail!("--pinned-cores works on Linux only; leave it out, and bound the work with --threads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(cores("0").unwrap(), Cores(vec![0]));
        assert_eq!(cores("4-6,0, 5").unwrap(), Cores(vec![0, 4, 5, 6]));
        for text in ["", ",", "a", "-", "1-", "3-2", "-1", "1024", "0-18446744073709551615"] {
            assert!(cores(text).is_err(), "{text}");
        }
    }
}
