//! The workers: threads that step the dataflow, of this process and of others.

use super::super::scoreboard::Boards;
use super::ending::better;
use super::{JobError, Shared, build, lock};
use crate::operators::seed::Standings;
use crate::operators::source::Finished;
use crate::recovery::Fault;
use std::any::Any;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::execute::execute_from;
use timely::worker::Worker;
use timely::{CommunicationConfig, WorkerConfig};

/// A process's place among others, and a socket to each of them.
pub(super) struct Sockets {
    /// Which one it is.
    pub index: usize,
    /// None at its own index.
    pub of: Vec<Option<TcpStream>>,
}

/// How long a worker parks when it has nothing to do. Whatever brings work wakes it; only a wish to stop has to be looked for.
const PARK: Duration = Duration::from_millis(50);

/// How workers talk to each other; and what has to live as long as they.
type Builders = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

fn builders(threads: usize, sockets: Option<Sockets>, serialised: bool) -> std::io::Result<Builders> {
    let Some(Sockets { index, of }) = sockets else {
        let communication = match (threads, serialised) {
            (1, false) => CommunicationConfig::Thread,
            (workers, false) => CommunicationConfig::Process(workers),
            (workers, true) => CommunicationConfig::ProcessBinary(workers),
        };
        return communication.try_build().map_err(std::io::Error::other);
    };
    let hooks = Hooks::default();
    let local = if serialised {
        ProcessBuilder::new_bytes_vector(threads, hooks.refill.clone(), hooks.spill.clone())
    } else {
        ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), hooks.spill.clone())
    };
    let (builders, guard) = initialize_networking_from_sockets(local, of, index, threads, hooks)?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}

pub(super) fn execute(shared: &Shared, sockets: Option<Sockets>, serialised: bool) -> Result<(), JobError> {
    let (builders, others) = builders(shared.threads, sockets, serialised)
        .map_err(|error| JobError::failed(format!("cannot connect the workers: {error}")))?;
    let workers = {
        let shared = shared.clone();
        execute_from(builders, others, WorkerConfig::default(), move |worker| work_guarded(worker, &shared))
    };
    let workers = workers.map_err(|error| JobError::failed(format!("cannot start the workers: {error}")))?;
    workers.join().into_iter().collect::<Result<Vec<()>, String>>().map_err(|error| {
        JobError::failed(format!("a worker panicked: {error}; this is a defect of tickcast, please report it"))
    })?;
    Ok(())
}

/// One worker. Should it panic, the others would wait for it for ever: that ends the job, and claims no progress.
fn work_guarded(worker: &mut Worker, shared: &Shared) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(worker, shared))) else { return };
    let text = panic.downcast_ref::<&str>().copied();
    let what = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    shared.fail(Fault::failed(format!("a worker panicked: {what}; this is a defect of tickcast, please report it")));
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// One worker, from its first step to its last.
fn work(worker: &mut Worker, shared: &Shared) {
    let input = match (shared.input)(worker.index(), worker.peers()) {
        Ok(input) => input,
        Err(error) => {
            shared.fail(error.into());
            return;
        }
    };
    let (boards, standings) = (Boards::new(shared.config.source.forget_after), Standings::default());
    let dataflow = worker.next_dataflow_index();
    let finished = Finished::default();
    let built = worker.dataflow(|scope| build(scope, input, shared, &finished, &boards, &standings));
    let (published, learnt) = match built {
        Ok(built) => built,
        Err(error) => {
            shared.fail(Fault::failed(error.to_string()));
            worker.drop_dataflow(dataflow);
            return;
        }
    };
    // Not until everything is published, but until the dataflow is over: the scoreboard stands beside that road.
    while worker.has_dataflows() {
        worker.step_or_park(Some(PARK));
        finished.wake_source();
        if let Some(fault) = shared.commit.sender.progress().failure() {
            shared.fail(fault);
        }
        if shared.stop.requested() {
            let closed = match (&shared.peers, shared.board.least_pane()) {
                (Some(peers), _) if !peers.is_first() => peers.may_leave(),
                (_, Some(open)) => !published.less_than(&open),
                (_, None) => published.done(),
            };
            if shared.failed() || closed || shared.stop.leaves_the_rest() {
                break;
            }
        }
    }
    if let (Some(peers), 0) = (&shared.peers, worker.index()) {
        peers.let_leave();
    }
    if worker.has_dataflows() {
        // A source that keeps its capability would hang the exit, and giving it up would close windows.
        worker.drop_dataflow(dataflow);
    }
    if let Some(weights) = learnt.filter(|_| shared.weights.is_some()).and_then(|learnt| learnt.hand_out()) {
        let mut best = lock(&shared.shared_weights);
        *best = Some(best.take().map_or_else(|| weights.clone(), |known| better(known, weights.clone())));
    }
    boards.add_to(&mut lock(&shared.scores));
    lock(&shared.standings).append(&mut standings.borrow_mut());
}
