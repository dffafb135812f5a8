//! Records as text: a line with the kind, its version and a checksum, then JSON. A damaged record is noticed, never believed.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A record's bytes. `kind` names what it is and its version, without spaces.
pub(crate) fn seal<T: Serialize>(kind: &str, value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_string(value)?;
    let checksum = blake3::hash(body.as_bytes()).to_hex();
    Ok(format!("{kind} {checksum}\n{body}\n").into_bytes())
}

/// What the bytes say; `None` when they are damaged, or of another kind.
pub(crate) fn unseal<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Option<T> {
    let (head, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let body = body.strip_suffix('\n')?;
    let checksum = head.strip_prefix(kind)?.strip_prefix(' ')?;
    let sound = checksum == blake3::hash(body.as_bytes()).to_hex().as_str();
    sound.then(|| serde_json::from_str(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_and_other_kinds_are_noticed() {
        let bytes = seal("kind-1", &[7, 8]).unwrap();
        assert_eq!(unseal::<[u32; 2]>("kind-1", &bytes), Some([7, 8]));
        assert_eq!(unseal::<[u32; 2]>("kind-2", &bytes), None);
        assert_eq!(unseal::<[u32; 2]>("kind", &bytes), None);
        assert_eq!(unseal::<String>("kind-1", &bytes), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(unseal::<[u32; 2]>("kind-1", &damaged), None, "byte {at}");
            assert_eq!(unseal::<[u32; 2]>("kind-1", &bytes[..at]), None, "cut at {at}");
        }
    }
}
