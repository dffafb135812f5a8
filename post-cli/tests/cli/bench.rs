//! `post bench`, run as a program. Figures are not judged here, only their form and the way from a call to them.

use serde_json::Value;

use crate::util::post;

fn lines(output: &std::process::Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
