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
