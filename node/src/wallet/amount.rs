//! Amounts as people write them: `1.5` is in SMH, `1500000000smidge` the same.

/// Smidge in an SMH.
pub const SMH: u64 = 1_000_000_000;

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// It isn't a number.
    #[error("an amount is a number of SMH like 1.5, or of smidge like 1500smidge")]
    Malformed,
    /// There is nothing smaller than a smidge.
    #[error("an SMH has nine decimals")]
    TooFine,
    /// More than there can be.
    #[error("that is more than there will ever be")]
    TooLarge,
}

/// Smidge.
///
/// # Errors
/// [`AmountError`].
pub fn parse(text: &str) -> Result<u64, AmountError> {
    if let Some(number) = text.strip_suffix("smidge") {
        return digits(number.trim_end());
    }
    let number = text.strip_suffix("SMH").map_or(text, str::trim_end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.len() > 9 {
        return Err(AmountError::TooFine);
    }
    let fraction = digits(decimals)?.saturating_mul(10u64.pow(9 - decimals.len() as u32));
    digits(whole)?.checked_mul(SMH).and_then(|whole| whole.checked_add(fraction)).ok_or(AmountError::TooLarge)
}

fn digits(text: &str) -> Result<u64, AmountError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::Malformed);
    }
    text.parse().map_err(|_| AmountError::TooLarge)
}

/// In SMH, without zeros that say nothing.
#[must_use]
pub fn format(smidge: u64) -> String {
    let text = format!("{}.{:09}", smidge / SMH, smidge % SMH);
    format!("{} SMH", text.trim_end_matches('0').trim_end_matches('.'))
}
