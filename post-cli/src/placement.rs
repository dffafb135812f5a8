//! Which files lie or would lie on which drive, as a table and as JSON: what `plan` and `init --dry-run` show.

use post_core::plan::Placement;
use serde_json::{Value, json};

use crate::report::{human_bytes, plain};

const COLUMNS: [&str; 7] = ["drive", "files there", "to make", "to write", "free", "limit", "free then"];

/// A row a drive, under a head line. `names` are those of the drives, in their order.
pub(crate) fn table(placement: &Placement, names: &[String]) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    for (drive, (name, space)) in names.iter().zip(placement.drives()).enumerate() {
        rows.push([
            plain(name),
            space.held.len().to_string(),
            placement.new_files(drive).len().to_string(),
            human_bytes(placement.new_bytes(drive)),
            human_bytes(space.free),
            space.quota.map_or("none".into(), human_bytes),
            human_bytes(placement.left_free(drive)),
        ]);
    }
    let widths: Vec<usize> =
        (0..COLUMNS.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).enumerate();
        // Names to the left, numbers to the right.
        let cells = cells.map(|(at, (cell, &width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An object a drive. Its `files` are those that it will hold in the end.
pub(crate) fn drives_json(placement: &Placement, names: &[String]) -> Vec<Value> {
    let drive_json = |(drive, name): (usize, &String)| {
        let space = &placement.drives()[drive];
        let new = placement.new_files(drive);
        let mut all: Vec<u32> = space.held.keys().chain(&new).copied().collect();
        all.sort_unstable();
        json!({
            "path": name, "files": ranges(&all), "new_files": ranges(&new),
            "held_bytes": space.held.values().sum::<u64>(), "new_bytes": placement.new_bytes(drive),
            "free_bytes": space.free, "free_then_bytes": placement.left_free(drive), "quota": space.quota,
        })
    };
    names.iter().enumerate().map(drive_json).collect()
}

/// Numbers in ascending order as `--files` takes them: `A..B`, B not included.
pub(crate) fn ranges(files: &[u32]) -> Vec<String> {
    let runs = files.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| format!("{}..{}", run[0], u64::from(run[run.len() - 1]) + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_files() {
        assert_eq!(ranges(&[]), [""; 0]);
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), ["0..3", "5..6", "7..9"]);
        assert_eq!(ranges(&[u32::MAX]), ["4294967295..4294967296"]);
    }
}
