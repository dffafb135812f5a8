//! What one ATX shows of a miner.

use super::NotProven;
use crate::atx::{Atx, SubPost};
use crate::ids::{NO_ATX, NodeId};
use crate::signature::{Domain, Signed, Verifier};

/// That a miner took part in an ATX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participation {
    /// The ATX.
    pub atx: Atx,
    /// Of a merged ATX.
    pub marriage: Option<SharedMarriage>,
}

/// That miner and signer of a merged ATX are married.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMarriage {
    /// The ATX they married in.
    pub marriage: Atx,
    /// The miner's marriage.
    pub miner: u32,
    /// The signer's marriage.
    pub signer: u32,
}

/// An ATX that its smesher signed and that is none of the malformed ones, whose ids may stand for something else too.
pub(super) fn signed(atx: &Atx, verifier: &Verifier) -> Result<(), NotProven> {
    atx.check()?;
    if atx.signature_holds(verifier) { Ok(()) } else { Err(NotProven::Signature) }
}

/// That `miner` gave the signer of `atx` its certificate number `index`.
///
/// The id of an ATX doesn't bind its signer, but the certificates do: they are over the signer's id.
pub(super) fn married(atx: &Atx, index: u32, miner: NodeId, verifier: &Verifier) -> Result<(), NotProven> {
    let marriage = atx.marriages.get(index as usize).ok_or(NotProven::NoCertificate)?;
    let certificate =
        Signed { domain: Domain::Marriage, signer: miner, message: &atx.smesher.0, signature: marriage.signature };
    let is_own = marriage.reference_atx == NO_ATX;
    if is_own == (miner == atx.smesher) && verifier.holds(&certificate) {
        Ok(())
    } else {
        Err(NotProven::NoCertificate)
    }
}

/// That `marriage` is the ATX in which the miners of `atx` married, and signed.
pub(super) fn marriage_of(atx: &Atx, marriage: &Atx, verifier: &Verifier) -> Result<(), NotProven> {
    if atx.marriage_atx != Some(marriage.id()) {
        return Err(NotProven::OtherMarriage);
    }
    signed(marriage, verifier)?;
    let own = marriage.marriages.iter().position(|marriage| marriage.reference_atx == NO_ATX);
    let own = own.and_then(|own| u32::try_from(own).ok()).ok_or(NotProven::NoCertificate)?;
    married(marriage, own, marriage.smesher, verifier)
}

impl Participation {
    /// The post of `miner`, once it is shown to be its.
    pub(super) fn post(&self, miner: NodeId, verifier: &Verifier) -> Result<&SubPost, NotProven> {
        signed(&self.atx, verifier)?;
        let index = match (&self.atx.marriage_atx, &self.marriage) {
            (None, None) if self.atx.smesher == miner => 0,
            (Some(_), Some(shared)) => {
                marriage_of(&self.atx, &shared.marriage, verifier)?;
                married(&shared.marriage, shared.miner, miner, verifier)?;
                married(&shared.marriage, shared.signer, self.atx.smesher, verifier)?;
                shared.miner
            }
            _ => return Err(NotProven::NotThere),
        };
        self.atx.posts().find(|post| post.marriage_index == index).ok_or(NotProven::NotThere)
    }
}
