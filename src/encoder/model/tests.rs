use super::*;

#[test]
fn every_window_is_dealt_once_and_the_groups_weigh_about_the_same() {
    let lengths: Vec<usize> = (3..40).collect();
    let dealt = deal(&lengths, 4);
    let mut all: Vec<usize> = dealt.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
    let loads = dealt.iter();
    let loads: Vec<usize> = loads
        .map(|group| group.iter().map(|index| lengths[*index]).sum())
        .collect();
    let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
    assert!(most - least <= 40, "{loads:?}");
}

#[test]
fn there_are_never_more_groups_than_windows_nor_none() {
    assert_eq!(deal(&[5, 5], 9).len(), 2);
    assert_eq!(deal(&[5, 5], 0), [[0, 1]]);
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
