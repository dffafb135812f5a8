//! A network's parameters: two presets, or a TOML file (POST.md section 1).
//!
//! Nothing below this module knows a number of a particular network.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The longest scratch one label may ask for: N · 128 B = 512 MiB.
const MAX_SCRYPT_N: u32 = 1 << 22;

/// A network file is a dozen lines; of anything else no more than this is read.
const MAX_FILE: u64 = 1 << 20;

/// Cost parameters of the label function. Only `r = p = 1` is defined (POST.md section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ScryptParams {
    /// Rows of the scratch table, a power of two from 2 to 2^22; one label needs N · 128 B.
    pub n: u32,
    /// Block size factor, always 1.
    pub r: u32,
    /// Parallelisation, always 1.
    pub p: u32,
}

/// What all members of one network agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkParams {
    /// 16 B labels in one space unit.
    pub labels_per_unit: u64,
    /// Fewest units an identity may hold.
    pub min_units: u32,
    /// Most units an identity may hold.
    pub max_units: u32,
    /// Expected hits per nonce over all labels.
    pub k1: u32,
    /// Indices in a proof.
    pub k2: u32,
    /// Indices a node of this network re-checks when it is free to choose.
    pub k3: u32,
    /// RandomX target for one unit, a 256-bit big-endian number.
    pub pow_difficulty: [u8; 32],
    /// Cost of a label.
    pub scrypt: ScryptParams,
}

/// Why parameters are not usable: the caller's mistake, never a verdict on a proof (POST.md section 6, rule 0).
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// The file could not be read.
    #[error("cannot read the network file {}: {source}; give a readable TOML file, or `mainnet` or `devnet`", path.display())]
    Unreadable {
        /// The file as given.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something is wrong in a file.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ParamsError>,
    },
    /// Not TOML, or a value of the wrong type, or a missing key.
    #[error(
        "network parameters: {reason}; needed are labels_per_unit, min_units, max_units, k1, k2, k3, pow_difficulty = \"<64 hex digits>\" and a table [scrypt] with n, r, p"
    )]
    Malformed {
        /// What the parser disliked, in one line.
        reason: String,
    },
    /// Keys that mean nothing here: most likely a typing error that would otherwise silently change nothing.
    #[error("network parameters: unknown key {}; remove or correct it", keys.join(", "))]
    UnknownKeys {
        /// The keys, `table.key` for those in a table.
        keys: Vec<String>,
    },
    /// N is not a power of two, too small or too large.
    #[error("scrypt n = {n} is not usable; it must be a power of two from 2 to {MAX_SCRYPT_N}")]
    ScryptN {
        /// The value found.
        n: u32,
    },
    /// r or p differs from 1.
    #[error("scrypt r = {r}, p = {p} is not usable; the label format defines r = 1 and p = 1 only")]
    ScryptRp {
        /// The value of r found.
        r: u32,
        /// The value of p found.
        p: u32,
    },
    /// K2 out of range.
    #[error("k2 = {k2} is not usable; a proof holds 1 to 65535 indices")]
    K2 {
        /// The value found.
        k2: u32,
    },
    /// K1 is zero.
    #[error("k1 = 0 is not usable; at least one hit per nonce must be expected")]
    K1,
    /// No unit count fits.
    #[error("min_units = {min} is above max_units = {max}; no number of units is allowed")]
    Units {
        /// Fewest.
        min: u32,
        /// Most.
        max: u32,
    },
}

impl ScryptParams {
    /// The label function's cost on mainnet.
    pub const MAINNET: Self = Self { n: 8192, r: 1, p: 1 };

    /// # Errors
    /// [`ParamsError::ScryptN`] or [`ParamsError::ScryptRp`] for values the label function is not defined for.
    pub fn check(self) -> Result<(), ParamsError> {
        if !self.n.is_power_of_two() || !(2..=MAX_SCRYPT_N).contains(&self.n) {
            return Err(ParamsError::ScryptN { n: self.n });
        }
        if self.r != 1 || self.p != 1 {
            return Err(ParamsError::ScryptRp { r: self.r, p: self.p });
        }
        Ok(())
    }
}

impl NetworkParams {
    /// The live network (POST.md section 1).
    #[must_use]
    pub fn mainnet() -> Self {
        let mut pow_difficulty = [0; 32];
        pow_difficulty[..8].copy_from_slice(&0x000d_fb23_b097_9b4b_u64.to_be_bytes());
        Self {
            labels_per_unit: 1 << 32,
            min_units: 4,
            max_units: u32::MAX,
            k1: 26,
            k2: 37,
            k3: 1,
            pow_difficulty,
            scrypt: ScryptParams::MAINNET,
        }
    }

    /// A toy network for trials: units of 64 KiB that fill in a moment, a proof of work of a few hashes.
    #[must_use]
    pub fn devnet() -> Self {
        let mut pow_difficulty = [0xff; 32];
        pow_difficulty[0] = 0x3f;
        Self {
            labels_per_unit: 4096,
            min_units: 1,
            max_units: 1024,
            k1: 26,
            k2: 37,
            k3: 1,
            pow_difficulty,
            scrypt: ScryptParams { n: 128, r: 1, p: 1 },
        }
    }

    /// Reads and checks a network file.
    ///
    /// # Errors
    /// Every [`ParamsError`]; the message names what to change.
    pub fn from_file(path: &Path) -> Result<Self, ParamsError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|source| ParamsError::Unreadable { path: path.to_path_buf(), source })?;
        Self::from_toml(&text)
            .map_err(|error| ParamsError::InFile { path: path.to_path_buf(), source: Box::new(error) })
    }

    /// Parses and checks the text of a network file.
    ///
    /// # Errors
    /// Every [`ParamsError`] but [`ParamsError::Unreadable`].
    pub fn from_toml(text: &str) -> Result<Self, ParamsError> {
        let malformed = |error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map_or(String::new(), |line| format!("line {line}: "));
            ParamsError::Malformed { reason: format!("{line}{}", error.message()) }
        };
        let keys = unknown_keys(&text.parse().map_err(malformed)?);
        if !keys.is_empty() {
            return Err(ParamsError::UnknownKeys { keys });
        }
        let file: NetworkFile = toml::from_str(text).map_err(malformed)?;
        let params = file.resolve()?;
        params.check()?;
        Ok(params)
    }

    /// The text of a network file with these parameters.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self { labels_per_unit, min_units, max_units, k1, k2, k3, pow_difficulty, scrypt } = self;
        let ScryptParams { n, r, p } = scrypt;
        let difficulty = hex::encode(pow_difficulty);
        format!(
            "labels_per_unit = {labels_per_unit}\nmin_units = {min_units}\nmax_units = {max_units}\nk1 = {k1}\n\
             k2 = {k2}\nk3 = {k3}\npow_difficulty = \"{difficulty}\"\n[scrypt]\nn = {n}\nr = {r}\np = {p}\n"
        )
    }

    /// Rule 0 of verification: is this a configuration proofs can be judged by?
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn check(&self) -> Result<(), ParamsError> {
        self.scrypt.check()?;
        if self.k1 == 0 {
            return Err(ParamsError::K1);
        }
        if !(1..=65535).contains(&self.k2) {
            return Err(ParamsError::K2 { k2: self.k2 });
        }
        if self.min_units > self.max_units {
            return Err(ParamsError::Units { min: self.min_units, max: self.max_units });
        }
        Ok(())
    }
}

/// The file's shape, before the hex is decoded.
#[derive(Deserialize)]
struct NetworkFile {
    labels_per_unit: u64,
    min_units: u32,
    max_units: u32,
    k1: u32,
    k2: u32,
    k3: u32,
    pow_difficulty: String,
    scrypt: ScryptParams,
}

const KEYS: [&str; 8] = ["labels_per_unit", "min_units", "max_units", "k1", "k2", "k3", "pow_difficulty", "scrypt"];
const SCRYPT_KEYS: [&str; 3] = ["n", "r", "p"];

impl NetworkFile {
    fn resolve(self) -> Result<NetworkParams, ParamsError> {
        let mut pow_difficulty = [0; 32];
        hex::decode_to_slice(&self.pow_difficulty, &mut pow_difficulty)
            .map_err(|e| ParamsError::Malformed { reason: format!("pow_difficulty must be 64 hex digits ({e})") })?;
        Ok(NetworkParams {
            labels_per_unit: self.labels_per_unit,
            min_units: self.min_units,
            max_units: self.max_units,
            k1: self.k1,
            k2: self.k2,
            k3: self.k3,
            pow_difficulty,
            scrypt: self.scrypt,
        })
    }
}

/// serde stops at the first unknown key; a person wants to see all of them.
fn unknown_keys(table: &toml::Table) -> Vec<String> {
    let mut unknown: Vec<String> =
        table.keys().filter(|key| !KEYS.contains(&key.as_str())).map(|key| format!("`{key}`")).collect();
    if let Some(toml::Value::Table(scrypt)) = table.get("scrypt") {
        let inner = scrypt.keys().filter(|key| !SCRYPT_KEYS.contains(&key.as_str()));
        unknown.extend(inner.map(|key| format!("`scrypt.{key}`")));
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "labels_per_unit = 512\nmin_units = 1\nmax_units = 7\nk1 = 26\nk2 = 37\nk3 = 1\n\
        pow_difficulty = \"409bffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe7\"\n[scrypt]\nn = 16\nr = 1\np = 1\n";

    #[test]
    fn presets_are_usable() {
        NetworkParams::mainnet().check().unwrap();
        NetworkParams::devnet().check().unwrap();
        for params in [NetworkParams::mainnet(), NetworkParams::devnet()] {
            assert_eq!(NetworkParams::from_toml(&params.to_toml()).unwrap(), params);
        }
        assert_eq!(hex::encode(NetworkParams::mainnet().pow_difficulty), format!("000dfb23b0979b4b{}", "0".repeat(48)));
    }

    #[test]
    fn a_file_gives_what_it_says() {
        let params = NetworkParams::from_toml(GOOD).unwrap();
        assert_eq!((params.labels_per_unit, params.max_units, params.scrypt.n), (512, 7, 16));
        assert_eq!(params.pow_difficulty[..2], [0x40, 0x9b]);
    }

    #[test]
    fn unknown_keys_are_all_named() {
        let text = format!("extra = 1\n{GOOD}q = 3\n");
        let message = NetworkParams::from_toml(&text).unwrap_err().to_string();
        assert!(message.contains("`extra`") && message.contains("`scrypt.q`"), "{message}");
    }

    #[test]
    fn unusable_values_are_refused() {
        let refused = |from: &str, to: &str| NetworkParams::from_toml(&GOOD.replace(from, to)).unwrap_err();
        for n in ["0", "1", "3", "8388608"] {
            assert!(matches!(refused("n = 16", &format!("n = {n}")), ParamsError::ScryptN { .. }), "{n}");
        }
        assert!(matches!(refused("r = 1", "r = 2"), ParamsError::ScryptRp { r: 2, p: 1 }));
        assert!(matches!(refused("k2 = 37", "k2 = 0"), ParamsError::K2 { k2: 0 }));
        assert!(matches!(refused("k2 = 37", "k2 = 65536"), ParamsError::K2 { .. }));
        assert!(matches!(refused("k1 = 26", "k1 = 0"), ParamsError::K1));
        assert!(matches!(refused("min_units = 1", "min_units = 8"), ParamsError::Units { .. }));
        assert!(matches!(refused("409b", "409"), ParamsError::Malformed { .. }));
        assert!(matches!(refused("k3 = 1\n", ""), ParamsError::Malformed { .. }));
        assert!(matches!(NetworkParams::from_toml("not toml"), Err(ParamsError::Malformed { .. })));
    }
}
