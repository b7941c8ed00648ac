//! Filters whose configuration is fetched: one takes another's place between streams.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use deserr::ValuePointerRef;

use super::background::FETCHING;
use super::contexts::{Plugin, Standing};
use super::reactor::Spawned;
use super::{CONTINUE, Made, PAUSE, Phase, Runtime, make};
use crate::config::{self, ConfigErrors};
use crate::configure::Configure;
use crate::filter::HttpFilter;
use crate::logging::StreamScope;
use crate::metrics::Counter;
use crate::remote_config::{Install, RemoteConfig, Statistics, Work};
use crate::reply::{GrpcStatus, LocalReply};

/// What a runtime knows of fetched configurations.
pub(super) struct Remote<F> {
    /// Filters made of documents, on their way into effect.
    arrived: Arrived<F>,
    /// Filters that streams still have, and nobody else.
    retired: RefCell<Vec<Retired<F>>>,
    refused: Cell<Counter>,
    /// Whether the host's answers to callouts come: they do not through the dispatcher of the
    /// `proxy-wasm` crate.
    pub(super) is_answered: Cell<bool>,
}

type Arrived<F> = Rc<RefCell<Vec<Arrival<F>>>>;

struct Arrival<F> {
    root: u32,
    made: Made<F>,
    spawned: Vec<Spawned>,
}

struct Retired<F> {
    root: u32,
    /// Of the futures that run for it.
    generation: u64,
    filter: Rc<F>,
}

/// What a configuration that is fetched begins with.
pub(super) struct Begun<F> {
    /// By the last good document, or by `initial`.
    pub(super) made: Option<Made<F>>,
    pub(super) spawned: Vec<Spawned>,
    /// What goes on fetching.
    pub(super) work: Work,
}

impl<F> Default for Remote<F> {
    fn default() -> Self {
        Self {
            arrived: Rc::default(),
            retired: RefCell::default(),
            refused: Cell::new(Counter::disabled()),
            is_answered: Cell::new(true),
        }
    }
}

impl<F: HttpFilter> Runtime<F> {
    /// Says that no answers to callouts come.
    #[doc(hidden)]
    pub fn takes_no_answers(&self) {
        self.remote.is_answered.set(false);
    }

    /// Reads what is there of a configuration that is fetched. The lines that say what is
    /// wrong, where the host or what stands in Envoy's configuration does not allow it.
    pub(super) fn begin_remote(
        &self,
        root: u32,
        mut config: RemoteConfig<F::Config>,
    ) -> Result<Begun<F>, Vec<String>> {
        if !self.remote.is_answered.get() {
            let line = "remote_config: the module is as `cargo build` left it; take the one that \
                        `cargo xtask build` makes";
            return Err(vec![line.to_owned()]);
        }
        let mut host = Configure::new(F::NAME);
        let statistics = Statistics::new(&mut host);
        let install = self.installer(root);
        let initial = config.initial.take();
        let work = Work::new(F::NAME, &config, install, statistics, &mut host)
            .map_err(|error| vec![error.to_string()])?;
        if !host.failures().is_empty() {
            return Err(host.failures().to_vec());
        }
        self.remote.refused.set(statistics.refused);
        // Whatever is fetched: a wrong `initial` is told when it is written.
        let mut made = initial
            .map(|initial| {
                let at = ValuePointerRef::Origin.push_key("remote_config");
                let under = |errors: ConfigErrors| errors.under(at.push_key("initial"));
                make::<F>(initial, Configure::fetched(F::NAME), under)
            })
            .transpose()?;
        let mut spawned = self.reactor.take_spawned();
        // Not while it is borrowed: what goes may call the host, and the host the filter.
        let arrival = if work.begin() {
            self.remote.arrived.borrow_mut().pop()
        } else {
            None
        };
        if let Some(arrival) = arrival {
            made = Some(arrival.made);
            self.drop_spawned(std::mem::replace(&mut spawned, arrival.spawned));
        }
        if let Some((_, plugin, _)) = &mut made {
            plugin.generation = self.next_generation();
        }
        Ok(Begun {
            made,
            spawned,
            work,
        })
    }

    /// What makes filters of documents.
    fn installer(&self, root: u32) -> Install {
        let arrived = Rc::clone(&self.remote.arrived);
        let reactor = Rc::clone(&self.reactor);
        Box::new(move |text| {
            let others = reactor.take_spawned();
            let made = config::parse::<F::Config>(text)
                .map_err(|errors| super::lines(&errors))
                .and_then(|config| make::<F>(config, Configure::fetched(F::NAME), |errors| errors));
            let spawned = reactor.replace_spawned(others);
            match made {
                Ok(made) => {
                    arrived.borrow_mut().push(Arrival {
                        root,
                        made,
                        spawned,
                    });
                    Ok(())
                }
                Err(lines) => {
                    reactor.drop_all(spawned);
                    Err(lines)
                }
            }
        })
    }

    /// Puts the filters that documents made into effect: for the streams that come. Those that are
    /// there go on with the one that they began with.
    pub(super) fn install_arrived(&self) {
        if !F::REMOTE_CONFIG {
            return;
        }
        loop {
            let arrival = self.remote.arrived.borrow_mut().pop();
            let Some(arrival) = arrival else {
                return;
            };
            // The newest is the last; those before it are of no use.
            let stale = {
                let mut arrived = self.remote.arrived.borrow_mut();
                arrived
                    .extract_if(.., |other| other.root == arrival.root)
                    .collect::<Vec<_>>()
            };
            for stale in stale {
                self.drop_spawned(stale.spawned);
            }
            self.install(arrival);
        }
    }

    fn install(&self, arrival: Arrival<F>) {
        let Arrival {
            root,
            made,
            spawned,
        } = arrival;
        let (filter, plugin, errors) = made;
        let plugin = Plugin {
            generation: self.next_generation(),
            ..plugin
        };
        let former = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) if contexts.has_root(root) => {
                let former = contexts.filter(root).map(|filter| Retired {
                    root,
                    generation: contexts.plugin(root).generation,
                    filter,
                });
                let gone = contexts.set_filter(root, (Some(Rc::new(filter)), plugin), false);
                Some((former, gone))
            }
            _ => None,
        };
        let Some((former, gone)) = former else {
            self.drop_spawned(spawned);
            return;
        };
        drop(gone);
        self.errors.set(errors);
        if let Some(former) = former {
            self.remote.retired.borrow_mut().push(former);
        }
        self.configured(root, plugin.generation, spawned);
        self.retire(self.running.get().context);
    }

    /// One that was there has been configured again, as a host may: what fetched for it ends, and what
    /// runs for its former filter with the last of its streams.
    pub(super) fn replaced(&self, root: u32, generation: u64, former: Option<Rc<F>>) {
        if !F::REMOTE_CONFIG {
            return;
        }
        self.drop_jobs(|of, generation| of == root && generation == FETCHING);
        if let Some(filter) = former
            && self.background.runs_for(root, generation)
        {
            self.remote.retired.borrow_mut().push(Retired {
                root,
                generation,
                filter,
            });
        }
        self.retire(root);
    }

    /// Ends what runs for filters that no stream has any more, on behalf of a context that the host
    /// has.
    pub(super) fn retire(&self, context: u32) {
        if !F::REMOTE_CONFIG || self.remote.retired.borrow().is_empty() {
            return;
        }
        self.forget_streams_of_retired(context);
        let over = {
            let mut retired = self.remote.retired.borrow_mut();
            let is_over = |one: &mut Retired<F>| Rc::strong_count(&one.filter) == 1;
            retired.extract_if(.., is_over).collect::<Vec<_>>()
        };
        for one in over {
            self.drop_jobs(|root, generation| root == one.root && generation == one.generation);
            drop(one.filter);
        }
    }

    /// Where nobody tells when a stream ends, one that was refused keeps its filter until the
    /// host is asked.
    fn forget_streams_of_retired(&self, context: u32) {
        if Self::TOLD_OF_ENDS {
            return;
        }
        let streams = match self.contexts.try_borrow() {
            Ok(contexts) => {
                let retired = self.remote.retired.borrow();
                contexts.streams_of(|of| retired.iter().any(|one| Rc::ptr_eq(&one.filter, of)))
            }
            Err(_) => return,
        };
        self.forget_gone(streams, context);
    }

    /// A configuration is gone, and with it what was made for it.
    pub(super) fn remote_gone(&self, root: u32) {
        if !F::REMOTE_CONFIG {
            return;
        }
        let gone = {
            let mut retired = self.remote.retired.borrow_mut();
            let of_root = |one: &mut Retired<F>| one.root == root;
            retired.extract_if(.., of_root).collect::<Vec<_>>()
        };
        drop(gone);
    }

    /// What becomes of a stream whose filter is not there yet.
    #[cold]
    pub(super) fn not_configured(&self, id: u32, phase: Phase, standing: Standing) -> u32 {
        if phase != Phase::Request || standing != Standing::Open {
            return if standing.lets(phase) {
                CONTINUE
            } else {
                PAUSE
            };
        }
        let _scope = StreamScope::enter(None);
        self.remote.refused.get().increment();
        let reply = LocalReply::new(503)
            .body("not configured yet\n")
            .details("legation_not_configured")
            .grpc_status(GrpcStatus::Unavailable);
        self.reply(id, &reply, phase)
    }

    pub(super) fn next_generation(&self) -> u64 {
        let next = self.generations.get().saturating_add(1);
        self.generations.set(next);
        next
    }
}
