//! Threads that run what must not run on a caller's: syncs for callers that do not wait, flushes,
//! segments made ahead. One pool serves all namespaces of a store.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a queue. Dropping it lets the queued jobs finish and ends them.
#[derive(Debug)]
pub(crate) struct Workers {
    sender: Option<mpsc::Sender<Job>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads called `name`.
    pub(crate) fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..count)
            .map(|_| {
                let receiver = Arc::clone(&receiver);
                thread::Builder::new().name(name.to_owned()).spawn(move || work(&receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { sender: Some(sender), threads })
    }

    /// Queues a job. During shutdown it is dropped.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(Box::new(job));
        }
    }
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // A job holds on to an engine: after a panic nobody knows how it left it.
            Ok(job) => {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                ended.unwrap_or_else(|_| std::process::abort());
            }
            Err(mpsc::RecvError) => return,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.sender = None;
        let own = thread::current().id();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}
