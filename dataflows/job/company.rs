//! How a job joins the other processes that run it, where there are any.

use super::super::cluster::{Cluster, Peers, Talk};
use super::workers::Sockets;
use super::{JobError, lock};
use crate::connectors::weights::{WeightsFileError, WeightsWriter};
use crate::delivery::Stop;
use crate::delivery::committer::Acknowledged;
use crate::operators::support::board::Board;
use crate::recovery::Fault;
use crate::recovery::cuts::Cuts;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A job, and the cluster that it is to join.
pub(super) struct Company {
    /// None where it runs alone.
    pub cluster: Option<Cluster>,
    /// Worker threads of each process.
    pub threads: usize,
    pub board: Arc<Board>,
    pub progress: Arc<Acknowledged>,
    pub stop: Stop,
    pub failure: Arc<Mutex<Option<Fault>>>,
    /// Where weights are written, where they are.
    pub weights: Option<PathBuf>,
}

/// What comes of that.
pub(super) struct Joined {
    /// For timely.
    pub sockets: Option<Sockets>,
    pub peers: Option<Peers>,
    /// Who takes weights: the first process writes all of them.
    pub writer: Option<WeightsWriter>,
}

pub(super) fn weights_trouble(error: WeightsFileError) -> JobError {
    let WeightsFileError(text) = error;
    JobError::failed(format!("model.weights: {text}"))
}

impl Company {
    /// Joins. In a process without a store, `cuts` becomes what its operators give.
    pub fn join(self, cuts: &mut Option<Arc<Cuts>>) -> Result<Joined, JobError> {
        let own_writer = |dir: &PathBuf| WeightsWriter::spawn(dir).map_err(weights_trouble);
        let Some(mut cluster) = self.cluster else {
            let writer = self.weights.as_ref().map(own_writer).transpose()?;
            return Ok(Joined { sockets: None, peers: None, writer });
        };
        let is_first = cluster.index == 0;
        let carries = !is_first && cluster.writes_weights;
        let mut notes = None;
        if !is_first && cluster.keeps {
            let (own, given) = Cuts::new();
            (*cuts, notes) = (Some(own), Some(given));
        }
        let sockets = Sockets { index: cluster.index, of: std::mem::take(&mut cluster.sockets) };
        let writer = self.weights.as_ref().filter(|_| is_first).map(own_writer).transpose()?;
        let (failed, fail, asking) = (Arc::clone(&self.failure), self.failure, self.stop.clone());
        let talk = Talk {
            board: self.board,
            progress: self.progress,
            stop: self.stop,
            cuts: cuts.clone(),
            notes,
            failure: Arc::new(move || lock(&failed).clone()),
            fail: Arc::new(move |fault| {
                lock(&fail).get_or_insert(fault);
                asking.request();
            }),
            weights: writer.as_ref().map(WeightsWriter::sender),
            workers: self.threads,
        };
        let peers = Peers::start(cluster, talk);
        let peers = peers.map_err(|error| JobError::failed(format!("cannot start a thread: {error}")))?;
        let carrying = peers.clone();
        let carried = carries
            .then(|| WeightsWriter::carried(move |symbol, bytes| carrying.carry_weights(symbol, bytes)))
            .transpose()
            .map_err(weights_trouble)?;
        Ok(Joined { sockets: Some(sockets), peers: Some(peers), writer: writer.or(carried) })
    }
}
