//! What a run would do, for whoever wants to know it before. Nothing is written.

use super::{InitError, Occasion, Request, Run, Waiting, look};
use crate::drive::Drive;
use crate::plan::Placement;

/// What a run would find and do.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Where every file lies or would go, and what has no place.
    pub placement: Placement,
    /// Labels of the files asked for.
    pub labels: u64,
    /// Labels of these that are there and need not be made again.
    pub done: u64,
    /// Files whose drive is not there.
    pub waiting: Vec<Waiting>,
}

/// Looks at the request and at the drives as [`super::init`] does, and refuses what it would refuse without computing a
/// label. Only a lack of room is no error here: [`Outlook::placement`] tells of it. Whether drives can be written to is not
/// looked at.
///
/// # Errors
/// Those of [`super::prepare`] but for lack of room, [`InitError::Gone`] and [`InitError::OtherCost`].
pub fn outlook(request: &Request, drives: &[Box<dyn Drive>], quotas: &[Option<u64>]) -> Result<Outlook, InitError> {
    let (plan, placement) = look(request, drives, quotas, Occasion::Set)?;
    let run = Run::new(request, drives, plan)?;
    let (labels, done, waiting) = (run.plan.labels(), run.done, run.plan.waiting);
    Ok(Outlook { placement, labels, done, waiting })
}
