//! `post devices`: what can compute here, each device tested.

use std::process::ExitCode;

use anyhow::{Result, bail};
use post_core::backend::{Backend, label_list};
use post_core::difficulty::Difficulty;
use post_core::identity::{Challenge, Commitment};
use post_core::label::{Label, reference, stored};
use post_core::params::ScryptParams;
use post_core::scan::{self, NonceGroup, ScanJob};
use post_gpu::{Facts, Tune};
use serde_json::{Value, json};

use crate::args::Compute;
use crate::report::{self, human_bytes, plain};
use crate::{devices, machine};

/// List what can compute: the CPU, and every GPU once for each API; each computes a few labels as a test
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// One device, as it is listed.
struct Listed {
    id: String,
    name: String,
    driver: String,
    software: bool,
    memory_bytes: Option<u64>,
    /// An object, or null.
    tuning: Value,
    /// For people.
    how: String,
    self_test: Result<()>,
}

/// Runs the command. Each device is listed as soon as its test is over: software devices may compile for half a minute.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let show = |device: &Listed| {
        let text = if args.json { device.json().to_string() } else { device.text() };
        if report::print(&text) { Ok(()) } else { bail!("stdout was closed before all devices were listed") }
    };
    show(&cpu()?)?;
    let found = post_gpu::devices();
    for facts in &found.devices {
        show(&gpu(facts))?;
    }
    if !args.json {
        // Programs ask `post doctor`.
        found.absent.iter().for_each(|absent| report::say(&format!("no devices by {}", plain(absent.to_string()))));
    }
    Ok(ExitCode::SUCCESS)
}

fn cpu() -> Result<Listed> {
    let mut cpu = machine::open_cpu(&Compute::default())?;
    let info = cpu.info().clone();
    let self_test = test_cpu(&mut cpu);
    Ok(Listed {
        id: info.id,
        name: machine::cpu_name(),
        driver: std::env::consts::ARCH.into(),
        software: false,
        memory_bytes: machine::all_memory(),
        tuning: json!({ "labels": info.labels, "scan": info.scan }),
        how: format!("labels by {}, scan by {}, threads: {}", info.labels, info.scan, info.threads),
        self_test,
    })
}

/// What the fast kernels make against what the readable ones do. Takes a few milliseconds.
pub(crate) fn test_cpu(cpu: &mut dyn Backend) -> Result<()> {
    let commitment = Commitment([0x7e; 32]);
    for (n, count) in [(16, 100), (ScryptParams::MAINNET.n, 3)] {
        let scrypt = ScryptParams { n, r: 1, p: 1 };
        let list: Vec<_> = (u64::from(u32::MAX) - 1..).take(count).map(|index| (commitment, index)).collect();
        for ((_, index), label) in list.iter().zip(label_list(cpu, scrypt, &list)?) {
            if label != stored(&reference::full_label(&commitment, *index, scrypt)?) {
                bail!("it computes wrong labels; check its cooling and its memory, and set POST_LABEL_TIER=portable");
            }
        }
    }
    let labels: Vec<Label> = (0..3000_u128).map(|i| (i * 0x0123_4567_89ab_cdef_fedc_ba98).to_le_bytes()).collect();
    let group = NonceGroup::new(&Challenge([0x3c; 32]), 0, 7);
    let job = ScanJob { groups: &[&group], difficulty: Difficulty { msb: 4, lsb: 1 << 55 } };
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    scan::reference::scan(&job, 0, &labels, &mut expected);
    cpu.scan(&job, 0, &labels, &mut found)?;
    if found != expected {
        bail!("it finds wrong hits; check its cooling and its memory, and set POST_SCAN_TIER=baseline");
    }
    Ok(())
}

fn gpu(facts: &Facts) -> Listed {
    let opened = devices::open_gpu(&facts.id, &Compute::default(), Tune::Never);
    let tuning = devices::cache_dir().and_then(|folder| post_gpu::tuning(facts, &folder));
    Listed {
        id: facts.id.clone(),
        name: facts.name.clone(),
        driver: facts.driver.clone(),
        software: facts.software,
        memory_bytes: facts.memory_bytes,
        how: match &opened {
            Ok(backend) => format!("labels with {}, scan with {}", backend.info().labels, backend.info().scan),
            Err(_) => String::new(),
        },
        tuning: tuning.map_or(Value::Null, |tuning| {
            json!({ "gap": tuning.gap, "labels": tuning.labels, "n": tuning.n, "steps_per_second": tuning.steps_per_second })
        }),
        self_test: opened.map(drop),
    }
}

impl Listed {
    fn self_test(&self) -> String {
        match &self.self_test {
            Ok(()) => "ok".into(),
            // The innermost cause is what the device did; around it is what a call should do about it.
            Err(error) => error.root_cause().to_string(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "driver": self.driver, "software": self.software,
            "memory_bytes": self.memory_bytes, "tuning": self.tuning, "self_test": self.self_test(),
        })
    }

    fn text(&self) -> String {
        let memory = self.memory_bytes.map_or("memory unknown".into(), human_bytes);
        let software = if self.software { ", software: used only when named" } else { "" };
        let how = if self.how.is_empty() { String::new() } else { format!("{:14}{}\n", "", plain(&self.how)) };
        format!(
            "{:14}{}, {memory}{software}\n{:14}{}\n{how}{:14}self-test: {}",
            self.id,
            plain(&self.name),
            "",
            plain(&self.driver),
            "",
            plain(self.self_test()),
        )
    }
}
