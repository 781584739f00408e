//! What can be had of several ways to answer by taking turns between them.
//!
//! Each way is a point of quality and cost. A random mix of two lies anywhere on the line between
//! them, so of many ways only the upper hull counts, from the cheapest to the best. What is to the
//! right of the best costs more and gives less.

use crate::eval::models::grid::Point;

/// The ways on the hull, from the cheapest on; quality rises and rises more and more slowly.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hull {
    corners: Vec<Corner>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Corner {
    way: usize,
    point: Point,
}

/// Two ways that take turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mix {
    /// The cheaper one.
    pub(super) from: usize,
    /// The better one.
    pub(super) to: usize,
    /// How often the better one's turn comes, 0 to 1.
    pub(super) share: f64,
}

impl Mix {
    /// One way, every time.
    pub(super) const fn alone(way: usize) -> Self {
        Self {
            from: way,
            to: way,
            share: 0.0,
        }
    }
}

impl Hull {
    /// The hull of ways. There must be one.
    pub(super) fn of(points: &[Point]) -> Self {
        let mut sorted: Vec<Corner> = points
            .iter()
            .enumerate()
            .map(|(way, point)| Corner { way, point: *point })
            .collect();
        sorted.sort_by(|left, right| {
            let cost = left.point.cost.total_cmp(&right.point.cost);
            cost.then(right.point.quality.total_cmp(&left.point.quality))
        });
        let mut corners: Vec<Corner> = Vec::new();
        for next in sorted {
            if corners
                .last()
                .is_some_and(|last| next.point.quality <= last.point.quality)
            {
                continue;
            }
            while let [.., before, last] = corners.as_slice()
                && gain(before, last) <= gain(before, &next)
            {
                corners.pop();
            }
            corners.push(next);
        }
        Self { corners }
    }

    /// The best mix that costs no more than this on average; the cheapest way if all cost more.
    pub(super) fn within(&self, cost: f64) -> Mix {
        self.mix(|point| point.cost, cost)
    }

    /// The cheapest mix of at least this quality; the best way if none reaches it.
    pub(super) fn reaching(&self, quality: f64) -> Mix {
        self.mix(|point| point.quality, quality)
    }

    /// What a mix comes to.
    #[cfg(test)]
    fn point(&self, mix: Mix) -> Point {
        let point = |way| {
            let corner = self.corners.iter().find(|corner| corner.way == way);
            corner.map_or_else(Point::default, |corner| corner.point)
        };
        point(mix.from).towards(point(mix.to), mix.share)
    }

    /// The mean quality over a range of costs that are spent as well as can be.
    pub(super) fn area(&self, low: f64, high: f64) -> f64 {
        let points: Vec<Point> = self.corners.iter().map(|corner| corner.point).collect();
        area(&points, low, high)
    }

    fn mix(&self, measure: impl Fn(&Point) -> f64, wanted: f64) -> Mix {
        let alone = |corner: &Corner| Mix::alone(corner.way);
        let above = self
            .corners
            .iter()
            .position(|corner| wanted <= measure(&corner.point));
        match above {
            Some(0) => alone(&self.corners[0]),
            None => alone(&self.corners[self.corners.len() - 1]),
            Some(place) => {
                let (from, to) = (self.corners[place - 1], self.corners[place]);
                let (low, high) = (measure(&from.point), measure(&to.point));
                Mix {
                    from: from.way,
                    to: to.way,
                    share: (wanted - low) / (high - low),
                }
            }
        }
    }
}

/// Quality gained for each unit of cost.
fn gain(from: &Corner, to: &Corner) -> f64 {
    let cost = to.point.cost - from.point.cost;
    let quality = to.point.quality - from.point.quality;
    if cost <= 0.0 {
        f64::INFINITY
    } else {
        quality / cost
    }
}

/// The mean quality over a range of costs along points: straight between them, level before the first
/// and after the last, since nobody has to spend what does not help. Without a range, the quality at
/// its one cost.
pub(super) fn area(points: &[Point], low: f64, high: f64) -> f64 {
    let Some((first, last)) = points.first().zip(points.last()) else {
        return 0.0;
    };
    let width = high - low;
    if width <= 0.0 {
        return at_cost(points, low);
    }
    let mut sum = first.quality * (first.cost.min(high) - low).max(0.0);
    sum += last.quality * (high - last.cost.max(low)).max(0.0);
    for (from, to) in points.iter().zip(&points[1..]) {
        let (start, end) = (from.cost.max(low), to.cost.min(high));
        if start < end {
            let quality = |cost: f64| {
                let share = (cost - from.cost) / (to.cost - from.cost);
                from.towards(*to, share).quality
            };
            sum += (end - start) * f64::midpoint(quality(start), quality(end));
        }
    }
    sum / width
}

/// The quality along points at a cost.
fn at_cost(points: &[Point], cost: f64) -> f64 {
    let after = points.iter().position(|point| cost < point.cost);
    match after {
        Some(0) => points[0].quality,
        None => points.last().map_or(0.0, |point| point.quality),
        Some(place) => {
            let (from, to) = (points[place - 1], points[place]);
            from.towards(to, (cost - from.cost) / (to.cost - from.cost))
                .quality
        }
    }
}

/// The least cost along points at which a quality is reached.
pub(super) fn cost_reaching(points: &[Point], quality: f64) -> Option<f64> {
    let place = points.iter().position(|point| quality <= point.quality)?;
    let to = points[place];
    let Some(from) = place.checked_sub(1).map(|before| points[before]) else {
        return Some(to.cost);
    };
    let share = (quality - from.quality) / (to.quality - from.quality);
    Some(from.towards(to, share).cost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(cost: f64, quality: f64) -> Point {
        Point { cost, quality }
    }

    #[test]
    fn a_model_below_the_line_between_two_others_is_never_used() {
        let hull = Hull::of(&[
            point(1.0, 0.5),
            point(2.0, 0.55),
            point(3.0, 0.9),
            point(4.0, 0.8),
        ]);
        let used: Vec<usize> = hull.corners.iter().map(|corner| corner.way).collect();
        assert_eq!(used, [0, 2]);
    }

    #[test]
    fn a_bar_between_two_models_is_reached_by_taking_turns() {
        let hull = Hull::of(&[point(1.0, 0.5), point(3.0, 0.9)]);
        let mix = hull.reaching(0.7);
        assert_eq!((mix.from, mix.to), (0, 1));
        assert!((mix.share - 0.5).abs() < 1e-12);
        assert!((hull.point(mix).cost - 2.0).abs() < 1e-12);
        assert_eq!(
            hull.within(0.1).to,
            0,
            "nothing is cheaper than the cheapest"
        );
        assert_eq!(
            hull.reaching(1.0).from,
            1,
            "nothing is better than the best"
        );
    }

    #[test]
    fn where_the_cheapest_is_the_best_there_is_nothing_to_mix() {
        let hull = Hull::of(&[point(1.0, 0.7), point(3.0, 0.5)]);
        assert_eq!(hull.within(2.0), hull.reaching(0.1));
        assert!((hull.area(1.0, 3.0) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn the_area_of_two_models_is_their_middle() {
        let hull = Hull::of(&[point(1.0, 0.5), point(3.0, 0.9)]);
        assert!((hull.area(1.0, 3.0) - 0.7).abs() < 1e-12);
        // Half of the range on the rise, half of it level.
        assert!((hull.area(1.0, 5.0) - 0.8).abs() < 1e-12);
    }

    #[test]
    fn the_cost_of_a_quality_is_where_the_line_first_reaches_it() {
        let points = [point(1.0, 0.5), point(3.0, 0.9)];
        assert_eq!(cost_reaching(&points, 0.4), Some(1.0));
        assert!(cost_reaching(&points, 0.7).is_some_and(|cost| (cost - 2.0).abs() < 1e-12));
        assert_eq!(cost_reaching(&points, 0.95), None);
    }

    proptest! {
        #[test]
        fn no_way_is_above_the_hull(
            ways in prop::collection::vec((0.01..9.0_f64, 0.0..1.0_f64), 1..12),
        ) {
            let points: Vec<Point> = ways.iter().map(|(cost, quality)| point(*cost, *quality)).collect();
            let hull = Hull::of(&points);
            for way in &points {
                let had = hull.point(hull.within(way.cost));
                prop_assert!(way.quality <= had.quality + 1e-9);
                prop_assert!(had.cost <= way.cost + 1e-9);
            }
        }
    }
}
