//! What the tests start from: the article's deployment, changed by a text or two, and the state that a
//! good apply of it leaves. There is no second, hand-kept model of AWS.

use crate::simulation::Simulation;
use expect_test::expect_file;
use pgrotate::aws::{NetworkLook, ServiceEndpoint, SubnetLook, VpcLook, WayOut};
use pgrotate::command::{FILE, File};
use pgrotate::config::{self, Config};
use pgrotate::desired::{self, Around};
use pgrotate::model::{Address, Kind, Place, Seen};
use pgrotate::plan::{Goal, Plan, PlanError, plan};
use pgrotate::render::{PlanDocument, human};
use pgrotate::resource::{Family, Known, Refusal, Settled};
use pgrotate::resources::artifact::Zip;
use pgrotate::resources::db_instance::Version;
use pgrotate::resources::{AnyLive, Kinds, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub type State = BTreeMap<Address, Seen<AnyLive>>;

pub use crate::scenarios::{ARTICLE, SECOND_USER};

/// A config and the function's code.
#[derive(Clone)]
pub struct Scenario {
    pub text: String,
    code: &'static [u8],
}

impl Scenario {
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), code: b"the functions" }
    }

    pub fn article() -> Self {
        Self::of(ARTICLE)
    }

    /// With one text of the file replaced, which must stand in it once.
    pub fn with(&self, old: &str, new: &str) -> Self {
        Self { text: crate::scenarios::with(&self.text, old, new), ..self.clone() }
    }

    pub fn and(&self, more: &str) -> Self {
        Self { text: format!("{}{more}", self.text), ..self.clone() }
    }

    pub fn with_code(&self, code: &'static [u8]) -> Self {
        Self { code, ..self.clone() }
    }

    pub fn config(&self) -> Config {
        config::parse("article.toml", &self.text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    pub fn wants(&self) -> Vec<Want> {
        let config = self.config();
        let version = config.database.instance.as_ref().and_then(|made| Version::parse(&made.engine_version.value));
        let around = around(version.map_or(16, |version| version.major));
        match desired::build(&config, &place(), &around, &Zip::new(self.code.to_vec())) {
            Ok(wants) => wants,
            Err(errors) => panic!("{errors:?}"),
        }
    }

    /// What a good apply leaves.
    pub fn realised(&self) -> State {
        realise(&self.wants())
    }

    /// A new account.
    pub fn nothing(&self) -> State {
        self.wants().iter().map(|want| (Kinds::address(want), Seen::Absent)).collect()
    }

    pub fn plan(&self, goal: Goal, live: &State) -> Result<Plan<Kinds>, PlanError> {
        let plan = plan(goal, &self.wants(), &[], live);
        plan.map(|plan| plan.naming(&file())).map_err(|error| error.naming(&file()))
    }

    /// Plans, compares the text with the golden file, and checks what holds of every plan: its edges, that
    /// it is the same each time, and that nothing is left to do once it is done.
    pub fn converges(&self, name: &str, live: &State) {
        let plan = self.plan(Goal::Converge, live).unwrap_or_else(|error| panic!("{error}"));
        let document = document(&plan);
        check_edges(&document);
        assert_eq!(json(&document), json(&self::document(&self.plan(Goal::Converge, live).unwrap())));
        golden(name, &human::plan(&document));
        assert!(!plan.actions.is_empty() || plan.unchanged.len() == self.wants().len());
        let after = self.carried_out(&plan, live);
        assert!(after.actions.is_empty(), "planned again:\n{}", human::plan(&self::document(&after)));
    }

    /// Carries `plan` out in an account that looks like `live`, and plans anew from what that leaves.
    fn carried_out(&self, plan: &Plan<Kinds>, live: &State) -> Plan<Kinds> {
        let wants = self.wants();
        let world = Simulation::new(live.clone());
        world.account.borrow_mut().made_for(&wants);
        world.account.borrow_mut().goes_on(&self.realised());
        let report = world.carry_out(plan);
        assert!(report.all_done(), "{}", crate::executing::told(plan, &report));
        self.plan(Goal::Converge, &world.observed(&wants)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Plans in vain, and compares what is refused and advised with the golden file.
    pub fn refuses(&self, name: &str, goal: Goal, live: &State) {
        match self.plan(goal, live) {
            Err(PlanError::Refused(refusals)) => refused(name, &refusals),
            Err(error) => panic!("{error}"),
            Ok(plan) => panic!("planned:\n{}", human::plan(&document(&plan))),
        }
    }
}

/// Compares what is refused and advised with the golden file.
pub fn refused(name: &str, refusals: &[(Address, Refusal)]) {
    let lines = refusals.iter().map(|(address, refusal)| {
        assert!(!refusal.hint.is_empty(), "{address} is refused without advice");
        format!("{}: {address}: {}\nhint: {}\n", refusal.code.heading(), refusal.cause, refusal.hint)
    });
    golden(name, &lines.collect::<String>());
}

/// The config's, as commands name it.
pub fn file() -> File {
    File::of(Path::new("article.toml"))
}

pub fn golden(name: &str, text: &str) {
    assert!(!text.contains(FILE), "a command that nobody has put the file's name into:\n{text}");
    expect_file![format!("golden/{name}.txt")].assert_eq(text);
}

pub fn document(plan: &Plan<Kinds>) -> PlanDocument {
    PlanDocument::of(plan, "article", &place())
}

pub fn json(document: &PlanDocument) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// Everything an action waits for is an action of this plan, and stands before it.
pub fn check_edges(document: &PlanDocument) {
    let mut labels = BTreeSet::new();
    for action in &document.actions {
        for first in &action.after {
            assert!(labels.contains(first), "{} waits for {first}, which does not come before it", action.address);
        }
        labels.insert(action.address.to_string());
        labels.insert(format!("{} ({})", action.address, action.change));
    }
}

pub fn place() -> Place {
    Place { partition: "aws".to_owned(), region: "eu-north-1".to_owned(), account: "111122223333".to_owned() }
}

fn around(major: u32) -> Around {
    let vpc = "vpc-02294c945121da772";
    let subnet = |id: &str, zone: &str, cidr: &str| {
        (id.to_owned(), SubnetLook { vpc: vpc.to_owned(), zone: zone.to_owned(), cidr: cidr.to_owned() })
    };
    let way = |id: &str| {
        (id.to_owned(), WayOut { table: Some("rtb-0".to_owned()), target: Some("nat-0123456789abcdef0".to_owned()) })
    };
    let network = NetworkLook {
        vpc: Some(VpcLook { cidrs: vec!["172.31.0.0/16".to_owned()], dns_support: true, dns_hostnames: true }),
        subnets: [
            ("subnet-05a8a2c78756260ed", "eu-north-1a", "172.31.16.0/20"),
            ("subnet-0cf57825fcf0c3cbd", "eu-north-1b", "172.31.32.0/20"),
        ]
        .into_iter()
        .chain(crate::scenarios::SUBNETS)
        .map(|(id, zone, cidr)| subnet(id, zone, cidr))
        .collect(),
        groups: BTreeSet::from(["sg-0aaaaaaaaaaaaaaaa".to_owned()]),
        ways_out: BTreeMap::from([way("subnet-05a8a2c78756260ed"), way("subnet-0cf57825fcf0c3cbd")]),
        endpoints: vec![ServiceEndpoint {
            id: "vpce-0aaaaaaaaaaaaaaaa".to_owned(),
            private_dns: true,
            state: "available".to_owned(),
            groups: BTreeSet::from(["sg-0bbbbbbbbbbbbbbbb".to_owned()]),
            admits: BTreeSet::from(["172.31.0.0/16".to_owned()]),
        }],
    };
    let versions = [8, 9, 10].map(|minor| Version { major, minor: Some(minor) }).to_vec();
    Around { network, versions }
}

pub fn realise(wants: &[Want]) -> State {
    let (mut known, mut state) = (Known::default(), State::new());
    for want in wants {
        let address = Kinds::address(want);
        let live = Kinds::realised(want, &known).unwrap_or_else(|error| panic!("{address}: {error}"));
        match Kinds::settled(want, &live) {
            Settled::Yes(outputs) => known.insert(address.clone(), outputs),
            other => panic!("{address} is realised and not settled: {other:?}"),
        }
        state.insert(address, Seen::Present(live));
    }
    state
}

/// An address of the article's, from its text.
pub fn at(text: &str) -> Address {
    let (kind, name) = text.split_once('.').expect("kind.name");
    const KINDS: [&str; 12] = [
        "artifact",
        "bucket",
        "db_cluster",
        "db_instance",
        "db_subnet_group",
        "login",
        "rotation",
        "secret",
        "security_group",
        "security_group_rule",
        "stack",
        "vpc_endpoint",
    ];
    let kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or_else(|| panic!("no kind {kind}"));
    Address { kind: Kind(kind), name: name.to_owned() }
}

/// Sees `address` otherwise than a good apply leaves it.
pub fn set(state: &mut State, address: &str, seen: Seen<AnyLive>) {
    let before = state.insert(at(address), seen);
    assert!(before.is_some(), "{address} is in the state");
}

/// Changes what is seen of one resource: `change!(state, Secret, "secret.test_user1", |live| …)`.
macro_rules! change {
    ($state:expr, $kind:ident, $address:expr, |$live:ident| $body:expr) => {
        match $state.get_mut(&crate::scenario::at($address)) {
            Some(pgrotate::model::Seen::Present(pgrotate::resources::AnyLive::$kind($live))) => $body,
            other => panic!("{} is {other:?}", $address),
        }
    };
}
pub(crate) use change;
