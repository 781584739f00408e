//! Who may ask, and for what.
//!
//! Of a key only its SHA-256 digest is kept, so nothing that is printed, dumped or swapped to disk can
//! tell one. A key that comes is held against all of them, each in constant time and none left out, so
//! the time that it takes tells neither whose it is nor how much of it was right.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::domain::caller::{KeyLabel, Tenant};
use crate::domain::name::TeamName;

/// The longest key. A longer one is refused unread, so that nobody can have much text hashed.
pub const KEY_CHARS_MAX: usize = 512;

/// Who may ask at all.
#[derive(Clone)]
pub enum Access {
    /// Whoever reaches the server.
    Anyone,
    /// Whoever has a key.
    KeyHolders(KeyRing),
}

impl Access {
    /// On whose behalf a request comes before its key was looked at.
    pub const fn tenant_without_key(&self) -> Option<Tenant> {
        match self {
            Self::Anyone => Some(Tenant::Anonymous),
            Self::KeyHolders(_) => None,
        }
    }
}

/// The keys of all teams.
#[derive(Clone, Default)]
pub struct KeyRing {
    digests: Vec<KeyDigest>,
    /// Of each digest, in the same order.
    holders: Vec<Holder>,
}

/// Who has a key, and what the configuration calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The team.
    pub team: TeamName,
    /// The key's name.
    pub key: KeyLabel,
}

/// A key's digest, in words: comparing them takes a quarter of the time of comparing bytes.
type KeyDigest = [u64; 4];

impl KeyRing {
    /// Adds a key, or says who has it already.
    pub fn add(&mut self, key: &str, holder: Holder) -> Result<(), TeamName> {
        if let Some(other) = self.holder(key.as_bytes()) {
            return Err(other.team.clone());
        }
        self.digests.push(digest(key.as_bytes()));
        self.holders.push(holder);
        Ok(())
    }

    /// Who has a key.
    pub fn holder(&self, key: &[u8]) -> Option<&Holder> {
        if KEY_CHARS_MAX < key.len() {
            return None;
        }
        let wanted = digest(key);
        let mut found = u64::MAX;
        for (place, digest) in (0..).zip(&self.digests) {
            let difference = digest
                .iter()
                .zip(wanted)
                .fold(0, |difference, (left, right)| difference | (left ^ right));
            found.conditional_assign(&place, difference.ct_eq(&0));
        }
        self.holders.get(usize::try_from(found).ok()?)
    }

    /// Everyone who has a key.
    pub fn teams(&self) -> BTreeSet<&TeamName> {
        self.holders.iter().map(|holder| &holder.team).collect()
    }
}

fn digest(key: &[u8]) -> KeyDigest {
    let bytes: [u8; 32] = Sha256::digest(key).into();
    let (words, _) = bytes.as_chunks::<8>();
    let mut digest = KeyDigest::default();
    for (word, bytes) in digest.iter_mut().zip(words) {
        *word = u64::from_ne_bytes(*bytes);
    }
    digest
}

/// Who may ask for one assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Teams {
    /// Whoever may ask at all.
    All,
    /// Callers of these teams.
    These(BTreeSet<TeamName>),
}

impl Teams {
    /// Whether a tenant is among them.
    pub fn admit(&self, tenant: &Tenant) -> bool {
        match (self, tenant) {
            (Self::All, _) => true,
            (Self::These(teams), Tenant::Team(team)) => teams.contains(team),
            (Self::These(_), Tenant::Anonymous) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &str) -> TeamName {
        name.parse().unwrap()
    }

    fn ring() -> KeyRing {
        let mut ring = KeyRing::default();
        for (key, name) in [
            ("clinic-key-0000000", "clinic"),
            ("clinic-key-1111111", "clinic"),
            ("lab-key-0000000000", "lab"),
        ] {
            ring.add(key, holder(name)).unwrap();
        }
        ring
    }

    fn holder(name: &str) -> Holder {
        Holder {
            team: team(name),
            key: KeyLabel::new(&format!("env:{name}")),
        }
    }

    #[test]
    fn each_key_tells_its_team_wherever_it_stands() {
        let ring = ring();
        for (key, name) in [
            ("clinic-key-0000000", "clinic"),
            ("clinic-key-1111111", "clinic"),
            ("lab-key-0000000000", "lab"),
        ] {
            assert_eq!(ring.holder(key.as_bytes()), Some(&holder(name)), "{key}");
        }
        assert_eq!(
            ring.teams(),
            BTreeSet::from([&team("clinic"), &team("lab")])
        );
    }

    #[test]
    fn a_part_of_a_key_another_case_and_nothing_at_all_are_no_key() {
        let ring = ring();
        for key in [
            "",
            "clinic-key-000000",
            "clinic-key-00000000",
            "Clinic-key-0000000",
            " clinic-key-0000000",
        ] {
            assert_eq!(ring.holder(key.as_bytes()), None, "{key:?}");
        }
        assert_eq!(KeyRing::default().holder(b""), None);
    }

    #[test]
    fn the_longest_key_is_known_and_a_longer_one_is_not_read() {
        let mut ring = KeyRing::default();
        let longest = "k".repeat(KEY_CHARS_MAX);
        let longer = "k".repeat(KEY_CHARS_MAX + 1);
        ring.add(&longest, holder("clinic")).unwrap();
        ring.add(&longer, holder("clinic")).unwrap();
        assert!(ring.holder(longest.as_bytes()).is_some());
        assert!(ring.holder(longer.as_bytes()).is_none());
    }

    #[test]
    fn a_key_has_one_holder() {
        let mut ring = ring();
        let held = ring.add("clinic-key-1111111", holder("lab"));
        assert_eq!(held, Err(team("clinic")));
    }

    #[test]
    fn an_assistant_of_some_teams_is_for_them_alone() {
        let some = Teams::These(BTreeSet::from([team("clinic")]));
        assert!(some.admit(&Tenant::Team(team("clinic"))));
        assert!(!some.admit(&Tenant::Team(team("lab"))));
        assert!(!some.admit(&Tenant::Anonymous));
        assert!(Teams::All.admit(&Tenant::Anonymous));
    }
}
