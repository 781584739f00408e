//! The longest beginning of a word that is a token, found letter by letter.
//!
//! The edges of the trie lie in one hash table, from (node, letter) to the next node: 30,000 tokens
//! are made in two milliseconds and take 1.5 MB, and a table of children a node would take ten
//! times that. Tokens that begin a word and tokens that go on with one hang from roots of their own.

/// Where words begin.
pub(super) const BEGINNING: Node = Node(0);

/// Where words go on.
pub(super) const CONTINUATION: Node = Node(1);

/// The id of what is no token.
const NO_TOKEN: u32 = u32::MAX;

/// The bits of a letter in the key of an edge.
const LETTER_BITS: u32 = 7;

/// Nodes that the key of an edge can tell apart.
const NODES_MAX: u32 = 1 << (u32::BITS - LETTER_BITS);

/// The places for edges that a table begins with, for each token. A vocabulary of English has two
/// edges a token; with half of the places free it need not grow.
const PLACES_PER_TOKEN: usize = 4;

/// What has been read of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node(u32);

/// A step by one letter. The key 0 would be the letter 0 from the first root, which no token has.
#[derive(Debug, Clone, Copy, Default)]
struct Edge {
    key: u32,
    to: u32,
    /// The token that ends with the letter.
    id: u32,
}

/// A token at the beginning of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) length: usize,
    pub(super) id: u32,
}

#[derive(Debug)]
pub(super) struct Trie {
    /// A power of two of them, at most five eighths in use.
    edges: Vec<Edge>,
    n_edges: usize,
    /// What the hash is shifted by to be a place.
    shift: u32,
    n_nodes: u32,
}

impl Trie {
    /// No tokens yet, and room for so many.
    pub(super) fn with_room(n_tokens: usize) -> Self {
        let places = (n_tokens.max(1) * PLACES_PER_TOKEN).next_power_of_two();
        Self {
            edges: vec![Edge::default(); places],
            n_edges: 0,
            shift: u32::BITS - places.trailing_zeros(),
            n_nodes: CONTINUATION.0 + 1,
        }
    }

    /// Adds a token of ASCII letters; the last of equal ones counts. `None` if there are too many, or the
    /// id cannot be told from none.
    pub(super) fn insert(&mut self, root: Node, letters: &[u8], id: u32) -> Option<()> {
        if id == NO_TOKEN {
            return None;
        }
        let mut node = root;
        let mut last = None;
        for letter in letters {
            let at = self.reach(key(node, *letter))?;
            node = Node(self.edges[at].to);
            last = Some(at);
        }
        self.edges[last?].id = id;
        Some(())
    }

    /// The longest token that the letters begin with.
    pub(super) fn longest(&self, root: Node, letters: &[u8]) -> Option<Found> {
        let mut node = root;
        let mut found = None;
        for (index, letter) in letters.iter().enumerate() {
            let edge = self.edges[self.place(key(node, *letter))];
            if edge.key == 0 {
                break;
            }
            if edge.id != NO_TOKEN {
                found = Some(Found {
                    length: index + 1,
                    id: edge.id,
                });
            }
            node = Node(edge.to);
        }
        found
    }

    /// The place of an edge, which is made if there is none.
    fn reach(&mut self, key: u32) -> Option<usize> {
        let at = self.place(key);
        if self.edges[at].key == key {
            return Some(at);
        }
        if self.n_nodes == NODES_MAX {
            return None;
        }
        let edge = Edge {
            key,
            to: self.n_nodes,
            id: NO_TOKEN,
        };
        self.n_nodes += 1;
        self.n_edges += 1;
        if self.edges.len() * 5 < self.n_edges * 8 {
            self.grow();
        }
        let at = self.place(key);
        self.edges[at] = edge;
        Some(at)
    }

    /// Where an edge is, or the free place where it belongs.
    fn place(&self, key: u32) -> usize {
        // The golden ratio, which spreads numbers that follow one another.
        const SPREAD: u32 = 0x9E37_79B1;
        let mask = self.edges.len() - 1;
        let mut at = (key.wrapping_mul(SPREAD) >> self.shift) as usize & mask;
        loop {
            let standing = self.edges[at].key;
            if standing == key || standing == 0 {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let doubled = vec![Edge::default(); self.edges.len() * 2];
        let edges = std::mem::replace(&mut self.edges, doubled);
        self.shift -= 1;
        for edge in edges.into_iter().filter(|edge| edge.key != 0) {
            let at = self.place(edge.key);
            self.edges[at] = edge;
        }
    }
}

fn key(node: Node, letter: u8) -> u32 {
    node.0 << LETTER_BITS | u32::from(letter)
}
