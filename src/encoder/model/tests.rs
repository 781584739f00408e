use super::*;

fn windows(lengths: impl IntoIterator<Item = usize>) -> Vec<Window> {
    let windows = lengths.into_iter().map(|length| Window {
        tokens: vec![7; length],
    });
    windows.collect()
}

#[test]
fn every_window_is_in_one_group_and_no_group_passes_its_budget() {
    let windows = windows(1..150);
    let groups = groups(&windows, 64);
    let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..windows.len()).collect::<Vec<_>>());
    for group in groups {
        let tokens: usize = group
            .iter()
            .map(|index| windows[*index].tokens.len() + FRAME_TOKENS)
            .sum();
        assert!(tokens <= 64 || group.len() == 1, "{group:?}");
    }
}

#[test]
fn short_windows_fill_groups() {
    assert_eq!(groups(&windows([6; 32]), 64).len(), 4);
    assert_eq!(groups(&windows([]), 64).len(), 0);
}

#[test]
fn the_native_layers_agree_with_candle() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2");
    let load = |kernel| Bert::load(Files::read(&folder).unwrap(), Device::Cpu, kernel).unwrap();
    let (native, reference) = (load(None), load(Some(Kernel::Candle)));
    assert_ne!(native.identity().kernel, reference.identity().kernel);
    let windows = ["hi", "Where is my parcel?", "fn main() { loop {} }"].map(|text| Window {
        tokens: native.tokenise(text).unwrap(),
    });
    let fast = native.encode(&windows).unwrap();
    let slow = reference.encode(&windows).unwrap();
    for (fast, slow) in fast.rows().zip(slow.rows()) {
        let cosine = vector::dot(fast, slow);
        assert!((cosine - 1.0).abs() < 4e-3, "{cosine}");
    }
}
