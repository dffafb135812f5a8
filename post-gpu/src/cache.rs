//! What tuning found, remembered from run to run: a small JSON file, by API, device and driver.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::{Facts, Shape};

/// Of the file: another one is not read, but replaced.
const VERSION: u32 = 1;

/// A tuning file is a few lines a device; of anything else no more than this is looked at.
const MAX_FILE: u64 = 1 << 20;

/// How a device computes labels fastest, as far as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Every `gap`-th line is kept: 1, 2 or 4.
    pub gap: u32,
    /// Labels in flight; as many as memory holds if `None`.
    pub labels: Option<u32>,
    /// N of these labels.
    pub n: u32,
    /// Labels · N a second.
    pub steps_per_second: f64,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    /// By API, name and driver.
    devices: BTreeMap<String, Tuning>,
}

impl Tuning {
    /// Labels of `shape` took `taken`; `full` if more of them would not have fitted into memory.
    pub(crate) fn new(shape: &Shape, taken: Duration, full: bool) -> Self {
        let steps = f64::from(shape.labels) * f64::from(shape.n);
        // Whole ones, which are the same when they are read back.
        let steps_per_second = (steps / taken.as_secs_f64().max(1e-9)).round();
        Self { gap: shape.gap, labels: (!full).then_some(shape.labels), n: shape.n, steps_per_second }
    }

    /// Labels in flight of another cost: the device's threads are the same, its memory is looked at elsewhere.
    pub(crate) fn labels_at(&self, n: u32) -> u64 {
        // Cheaper labels are over sooner, so more of them keep the device at work between two visits of the host.
        self.labels.map_or(u64::MAX, |labels| u64::from(labels) * u64::from(self.n.div_ceil(n)))
    }

    /// What the file says of such a device; nothing if it can't be read or says what can't be.
    pub(crate) fn recall(file: &Path, facts: &Facts) -> Option<Self> {
        let tuning = read(file)?.devices.remove(&key(facts))?;
        let sane = matches!(tuning.gap, 1 | 2 | 4)
            && tuning.labels != Some(0)
            && tuning.n >= 2
            && tuning.steps_per_second.is_finite()
            && tuning.steps_per_second >= 1.0;
        sane.then_some(tuning)
    }

    /// Writes it down beside what is known of other devices. A failure costs a second at the next start, and no more.
    pub(crate) fn remember(&self, file: &Path, facts: &Facts) {
        let mut devices = read(file).map(|file| file.devices).unwrap_or_default();
        devices.insert(key(facts), self.clone());
        let _ = replace(file, &File { version: VERSION, devices });
    }
}

fn key(facts: &Facts) -> String {
    let api = facts.id.split(':').next().unwrap_or_default();
    format!("{api}, {}, {}", facts.name, facts.driver)
}

fn read(file: &Path) -> Option<File> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok().filter(|file: &File| file.version == VERSION)
}

/// All or nothing, whoever else writes it meanwhile.
#[expect(clippy::disallowed_methods, reason = "the cache is replaced as a whole")]
fn replace(file: &Path, content: &File) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::Builder::new().prefix(".tuning-").tempfile_in(folder)?;
    new.write_all(&serde_json::to_vec_pretty(content)?)?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(driver: &str) -> Facts {
        Facts {
            id: "vulkan:0".into(),
            name: "a card".into(),
            driver: driver.into(),
            software: false,
            memory_bytes: None,
            has_display: false,
            max_buffer_bytes: 1 << 30,
            max_buffers: 8,
        }
    }

    #[test]
    fn tunings_are_remembered_by_device_and_driver() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not/there/yet.json");
        let tuning = |gap| Tuning { gap, labels: Some(640), n: 8192, steps_per_second: 1e9 };
        assert_eq!(Tuning::recall(&file, &facts("1.0")), None);
        tuning(2).remember(&file, &facts("1.0"));
        tuning(4).remember(&file, &facts("2.0"));
        assert_eq!(Tuning::recall(&file, &facts("1.0")), Some(tuning(2)));
        assert_eq!(Tuning::recall(&file, &facts("2.0")), Some(tuning(4)));
        assert_eq!(Tuning::recall(&file, &facts("3.0")), None);
        // No temporary file is left.
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn nonsense_is_not_believed_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuning.json");
        let tuning = Tuning { gap: 1, labels: None, n: 2, steps_per_second: 5.0 };
        for text in [
            "",
            "{",
            "[]",
            r#"{"version":2,"devices":{}}"#,
            r#"{"version":1,"devices":{"vulkan, a card, 1.0":{"gap":3}}}"#,
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Tuning::recall(&file, &facts("1.0")), None, "{text}");
        }
        for bad in [Tuning { gap: 3, ..tuning.clone() }, Tuning { labels: Some(0), ..tuning.clone() }] {
            bad.remember(&file, &facts("1.0"));
            assert_eq!(Tuning::recall(&file, &facts("1.0")), None);
        }
        tuning.remember(&file, &facts("1.0"));
        assert_eq!(Tuning::recall(&file, &facts("1.0")), Some(tuning));
    }
}
