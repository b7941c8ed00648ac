//! Child processes that end when this one does.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// A child process that is killed when this is dropped, which a panic does too.
///
/// On Linux the kernel also kills it when this process dies without a word (a killed
/// test run, a static that is never dropped). Elsewhere only the drop does,
/// and the terminal's Ctrl-C, which reaches the child because it stays in the
/// process group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    kind: Kind,
}

/// What a program that has ended has written, to both.
pub fn output_text(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[stdout.as_slice(), stderr].concat()).into_owned()
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alone,
    WithChildren,
}

impl Process {
    pub(crate) fn start(command: Command) -> io::Result<Self> {
        Self::start_as(Kind::Alone, command)
    }

    /// Starts one in a process group of its own: its children are killed with it. The
    /// terminal's Ctrl-C does not reach that, so it has to end when its pipes do.
    pub(crate) fn start_with_children(mut command: Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self::start_as(Kind::WithChildren, command)
    }

    fn start_as(kind: Kind, mut command: Command) -> io::Result<Self> {
        die_with_this_process(&mut command);
        let child = spawn_from_a_lasting_thread(command)?;
        Ok(Self { child, kind })
    }

    /// Its ends of the three pipes, where the command asked for them; once.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        let child = &mut self.child;
        Some((
            child.stdin.take()?,
            child.stdout.take()?,
            child.stderr.take()?,
        ))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Before the wait, which gives its number free for others.
        if self.kind == Kind::WithChildren {
            kill_group(&self.child);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(unix)]
fn kill_group(leader: &Child) {
    use rustix::process::{Pid, Signal, kill_process_group};

    let id = i32::try_from(leader.id()).ok().and_then(Pid::from_raw);
    if let Some(id) = id {
        kill_process_group(id, Signal::KILL).ok();
    }
}

#[cfg(not(unix))]
fn kill_group(_: &Child) {}

type Order = (Command, Sender<io::Result<Child>>);

/// Linux takes the *thread* that started a child for its parent, and a test's
/// thread ends with the test: an Envoy that tests share must outlive the test
/// that started it.
fn spawn_from_a_lasting_thread(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (send, receive) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in receive {
                answer.send(command.spawn()).ok();
            }
        });
        Mutex::new(send)
    });
    let (send, receive) = channel();
    let order = orders
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, send));
    let started = order.ok().and_then(|()| receive.recv().ok());
    started.unwrap_or_else(|| Err(io::Error::other("the thread that starts processes is gone")))
}

#[cfg(target_os = "linux")]
fn die_with_this_process(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let this = getpid();
    let in_child = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // This process may have died before the line above.
        if getppid() != Some(this) {
            return Err(io::Error::other("the parent process is gone"));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only what is async-signal-safe may run.
    // The closure makes two plain system calls; only where the parent is gone, and with it
    // everyone who could mind, does it allocate.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(in_child);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_this_process(_: &mut Command) {}
