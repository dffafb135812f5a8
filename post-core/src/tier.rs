//! Naming instruction tiers: what the label kernel's and the scan's have in common.

/// A tier that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TierError {
    /// No tier has this name.
    #[error("there is no tier {name:?}; the tiers of this machine are {available}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What could have been.
        available: String,
    },
    /// This processor lacks the instructions.
    #[error("this processor can't run tier {name:?}; the tiers of this machine are {available}")]
    Unavailable {
        /// What was asked for.
        name: String,
        /// What could have been.
        available: String,
    },
}

/// The tier of this name, if this machine can run it.
pub(crate) fn parse<T: Copy>(
    name: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
    is_available: fn(T) -> bool,
) -> Result<T, TierError> {
    let available = || {
        let names: Vec<_> = all.iter().filter(|tier| is_available(**tier)).map(|tier| name_of(*tier)).collect();
        names.join(", ")
    };
    match all.iter().find(|tier| name_of(**tier) == name) {
        None => Err(TierError::Unknown { name: name.into(), available: available() }),
        Some(tier) if !is_available(*tier) => Err(TierError::Unavailable { name: name.into(), available: available() }),
        Some(tier) => Ok(*tier),
    }
}
