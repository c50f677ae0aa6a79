//! Threads that run what must not run on a caller's: syncs for callers that do not wait, flushes,
//! segments made ahead. One pool serves all namespaces of a store.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a queue. Dropping it lets the queued jobs finish and ends them.
#[derive(Debug)]
pub(crate) struct Workers {
    sender: Option<mpsc::Sender<Job>>,
    /// Jobs that no thread has taken yet.
    queued: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads called `name`.
    pub(crate) fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let queued = Arc::new(AtomicUsize::new(0));
        let threads = (0..count)
            .map(|_| {
                let (receiver, queued) = (Arc::clone(&receiver), Arc::clone(&queued));
                let work = move || work(&receiver, &queued);
                thread::Builder::new().name(name.to_owned()).spawn(work)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { sender: Some(sender), queued, threads })
    }

    /// Queues a job. During shutdown it is dropped.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(sender) = &self.sender {
            self.queued.fetch_add(1, Ordering::Relaxed);
            let _ = sender.send(Box::new(job));
        }
    }

    /// Whether jobs wait for a thread: one that could go on for long should make way.
    pub(crate) fn is_wanted(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>, queued: &AtomicUsize) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        queued.fetch_sub(usize::from(job.is_ok()), Ordering::Relaxed);
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
