//! WGSL, for wgpu.

use std::fmt::Write;

/// Entry points `expand` and `compress`; bindings 0 … 3 are parameters, states, jobs and labels.
pub const HASH: &str = concat!(include_str!("common.wgsl"), include_str!("hash.wgsl"));

/// First binding of the scratch buffers.
pub const FIRST_SCRATCH: u32 = 2;

/// Entry points `fill` and `walk`, for a scratch of this many buffers of which every `gap`-th line is kept (1, 2 or 4).
/// Bindings 0 and 1 are parameters and states, the buffers follow from [`FIRST_SCRATCH`] on.
#[must_use]
pub fn romix(buffers: u32, gap: u32) -> String {
    let mut source = String::from(concat!(include_str!("common.wgsl"), include_str!("romix.wgsl")));
    // Writing to a string can't fail.
    let _ = write_scratch(&mut source, buffers.max(1), gap);
    source
}

/// Entry point `scan` with its table in this many copies of 1 KiB; bindings 0 … 4 are parameters, constants, keys, labels
/// and hits.
#[must_use]
pub fn scan(copies: u32) -> String {
    format!("const COPIES: u32 = {}u;\n{}", copies.max(1), include_str!("scan.wgsl"))
}

/// Which buffer it is depends on the workgroup only, so the switch is one jump for all of its threads.
fn write_scratch(out: &mut String, buffers: u32, gap: u32) -> std::fmt::Result {
    writeln!(out, "\nconst GAP: u32 = {gap}u;\nconst GAP_SHIFT: u32 = {}u;", gap.trailing_zeros())?;
    for i in 0..buffers {
        let binding = FIRST_SCRATCH + i;
        writeln!(out, "@group(0) @binding({binding}) var<storage, read_write> scratch{i}: array<vec4<u32>>;")?;
    }
    let parts = ["a0", "b0", "c0", "d0", "a1", "b1", "c1", "d1"];

    writeln!(out, "\nfn store_line(buffer: u32, at: u32, x: Line) {{\n    switch buffer {{")?;
    for i in 0..buffers {
        writeln!(out, "        {}: {{", case(i))?;
        for (offset, part) in parts.iter().enumerate() {
            writeln!(out, "            scratch{i}[at + {offset}u] = x.{part};")?;
        }
        writeln!(out, "        }}")?;
    }
    writeln!(out, "    }}\n}}")?;

    writeln!(out, "\nfn load_line(buffer: u32, at: u32) -> Line {{\n    var x: Line;\n    switch buffer {{")?;
    for i in 0..buffers {
        writeln!(out, "        {}: {{", case(i))?;
        for (offset, part) in parts.iter().enumerate() {
            writeln!(out, "            x.{part} = scratch{i}[at + {offset}u];")?;
        }
        writeln!(out, "        }}")?;
    }
    writeln!(out, "    }}\n    return x;\n}}")
}

/// WGSL wants a default in every switch; the first buffer takes it.
fn case(buffer: u32) -> String {
    if buffer == 0 { "default".into() } else { format!("case {buffer}u") }
}

#[cfg(test)]
mod tests {
    use naga::back::{hlsl, msl, spv};
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    /// Valid, and translated for Vulkan, Metal and Direct3D: all without a GPU.
    fn check(name: &str, source: &str, entry_points: &[&str]) {
        let module =
            naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
        let found: Vec<_> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(found, entry_points, "{name}");
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));

        let words = spv::write_vec(&module, &info, &spv::Options::default(), None).unwrap();
        assert_eq!(words[0], 0x0723_0203, "{name}: SPIR-V begins with its magic number");

        let options = msl::Options { fake_missing_bindings: true, lang_version: (2, 0), ..msl::Options::default() };
        let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default()).unwrap();
        assert!(entry_points.iter().all(|entry| text.contains(entry)), "{name}: Metal");

        let (mut text, options, pipeline) = (String::new(), hlsl::Options::default(), hlsl::PipelineOptions::default());
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).unwrap();
        assert!(entry_points.iter().all(|entry| text.contains(entry)), "{name}: HLSL");
    }

    #[test]
    fn kernels_translate_to_every_api() {
        check("hash", super::HASH, &["expand", "compress"]);
        for (buffers, gap) in [(1, 1), (2, 2), (3, 4), (64, 1)] {
            check(&format!("romix({buffers}, {gap})"), &super::romix(buffers, gap), &["fill", "walk"]);
        }
        for copies in [1, 16, 32] {
            check(&format!("scan({copies})"), &super::scan(copies), &["scan"]);
        }
    }
}
