//! `post doctor`: what each part of the work could run on here, what is missing for it, and what brings it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use post_core::backend::Backend;
use post_gpu::{Absent, Api, Facts, Found, Tune};
use serde_json::json;

use super::devices::test_cpu;
use crate::args::Compute;
use crate::report::{self, human_bytes, plain};
use crate::{devices, machine};

mod system;

use system::{Maker, huge_pages, makers};

/// Say what is missing on this machine for each way to compute, and what brings it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How one part does.
struct Checkup {
    part: &'static str,
    /// It can be used.
    works: bool,
    /// What there is.
    found: String,
    /// What is missing, and the cure of each.
    missing: Vec<(String, String)>,
}

/// Runs the command. Success means that something computes.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cpu = cpu();
    let (mut computes, makers) = (cpu.works, makers());
    show(args, &cpu)?;
    let found = post_gpu::devices();
    let first = if cfg!(target_os = "macos") { Api::Metal } else { Api::Vulkan };
    for api in [first, Api::OpenCl] {
        let checkup = gpus(api, &found, &makers);
        computes |= checkup.works;
        show(args, &checkup)?;
    }
    show(args, &randomx())?;
    if !computes {
        bail!("nothing here computes right; see what is missing above");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Args, checkup: &Checkup) -> Result<()> {
    let Checkup { part, works, found, missing } = checkup;
    let text = if args.json {
        let missing: Vec<_> = missing.iter().map(|(what, cure)| json!({ "what": what, "cure": cure })).collect();
        json!({ "part": part, "works": works, "found": found, "missing": missing }).to_string()
    } else {
        let mut lines = vec![format!("{part:9}{}", plain(found))];
        let missing = missing.iter().map(|(what, cure)| format!("{:9}- {}; {}", "", plain(what), plain(cure)));
        lines.extend(missing);
        lines.join("\n")
    };
    if report::print(&text) { Ok(()) } else { bail!("stdout was closed") }
}

fn cpu() -> Checkup {
    let tested = machine::open_cpu(&Compute::default()).and_then(|mut cpu| {
        let info = cpu.info().clone();
        test_cpu(&mut cpu).map(|()| info)
    });
    let mut missing = Vec::new();
    let (works, found) = match tested {
        Ok(info) => {
            if info.scan.starts_with("baseline") {
                let what = "no instructions for AES: a scan is ten times slower".to_owned();
                missing.push((what, "prove on another machine, or on a GPU".to_owned()));
            }
            (true, format!("works: labels by {}, scan by {}, threads: {}", info.labels, info.scan, info.threads))
        }
        Err(error) => (false, format!("does not work: {error:#}")),
    };
    Checkup { part: "cpu", works, found, missing }
}

/// What can be reached by one API. Software devices are named, not tested: that may take half a minute.
fn gpus(api: Api, found: &Found, makers: &[Maker]) -> Checkup {
    let of_api = |facts: &&Facts| facts.id.split(':').next() == Some(api.name());
    let (software, real): (Vec<_>, Vec<_>) = found.devices.iter().filter(of_api).partition(|facts| facts.software);
    let (mut works, mut missing) = (false, Vec::new());
    for facts in &real {
        match devices::open_gpu(&facts.id, &Compute::default(), Tune::Never) {
            Ok(_) => works = true,
            Err(error) => missing.push((error.root_cause().to_string(), "update the card's driver".to_owned())),
        }
    }
    missing.extend(
        found
            .absent
            .iter()
            .filter(|absent| absent.api == api)
            .map(|Absent { reason, cure, .. }| (reason.clone(), cure.clone())),
    );
    let shown = |facts: &Facts| format!("{} {}", facts.name, facts.driver).to_lowercase();
    for maker in makers {
        if !real.iter().any(|facts| maker.is_in(&shown(facts))) {
            missing.push((format!("{api} does not show the {} card", maker.name()), maker.cure(api).to_owned()));
        }
    }
    if real.is_empty() && makers.is_empty() && api != Api::Metal {
        let package = if api == Api::Vulkan { "mesa-vulkan-drivers" } else { "pocl-opencl-icd" };
        let what = "no graphics card is seen on this machine".to_owned();
        if software.is_empty() {
            missing.push((what, format!("the package {package} makes a slow device of the CPU, for tests")));
        }
    }
    let list = |devices: &[&Facts]| devices.iter().map(|facts| facts.id.as_str()).collect::<Vec<_>>().join(", ");
    let found = match (real.is_empty(), software.is_empty()) {
        (true, true) => "no device".to_owned(),
        (true, false) => format!("only software devices, which are used when named: {}", list(&software)),
        (false, true) => list(&real),
        (false, false) => format!("{}; software devices, which are used when named: {}", list(&real), list(&software)),
    };
    let found = match (real.is_empty(), works) {
        (true, _) => found,
        (false, true) => format!("works: {found}"),
        (false, false) => format!("does not work: {found}"),
    };
    Checkup { part: api.name(), works, found, missing }
}

fn randomx() -> Checkup {
    let free = machine::free_memory();
    let mut missing = Vec::new();
    if free < machine::FAST_NEEDS {
        let what = format!("fast mode wants {} of free memory", human_bytes(machine::FAST_NEEDS));
        missing.push((what, "close other programs, or live with light mode, which is five times slower".to_owned()));
    }
    let (pages, tip) = huge_pages();
    missing.extend(tip);
    let compiles = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));
    if !compiles {
        missing.push((
            "RandomX has no compiler for this processor: it is ten times slower".to_owned(),
            "prove on another machine".to_owned(),
        ));
    }
    let mode = if free < machine::FAST_NEEDS { "light" } else { "fast" };
    let found = format!("works: {mode} mode, {} of memory are free, {pages}", human_bytes(free));
    Checkup { part: "randomx", works: true, found, missing }
}
