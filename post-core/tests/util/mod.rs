//! What several tests share.

use std::ops::ControlFlow;

use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Labels, Sink};
use post_core::label::Label;
use post_core::scan::{Hit, ScanJob};

/// Cuts every job into batches of a given size.
pub(crate) struct Batches {
    pub(crate) cpu: Cpu,
    pub(crate) size: usize,
}

impl Backend for Batches {
    fn info(&self) -> &Info {
        self.cpu.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Labels::Range(commitment, indices) = &job.labels else {
            return self.cpu.label(job, sink);
        };
        let mut ended = ControlFlow::Continue(());
        for start in indices.clone().step_by(self.size) {
            let batch = start..indices.end.min(start + self.size as u64);
            let job = LabelJob { scrypt: job.scrypt, labels: Labels::Range(*commitment, batch) };
            self.cpu.label(&job, &mut |positions, labels| {
                ended = sink(positions, labels);
                ended
            })?;
            if ended.is_break() {
                break;
            }
        }
        Ok(())
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        for (batch, labels) in labels.chunks(self.size).enumerate() {
            self.cpu.scan(job, first + (batch * self.size) as u64, labels, hits)?;
        }
        Ok(())
    }
}
