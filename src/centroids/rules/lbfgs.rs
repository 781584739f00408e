//! Finds the lowest point of a smooth convex function: limited-memory BFGS (Nocedal 1980), the
//! method that scikit-learn uses for the same problem.
//!
//! The function comes from 32-bit sums, so that close to the lowest point its values are noise. A
//! search that finds no lower point there has arrived, and says so by the gradient it ends with.

/// Steps that the curvature is estimated from. More bring little and cost a product each.
const MEMORY: usize = 12;

/// How far a step may fall short of what the gradient promised (Armijo).
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// How often a step is halved before the search gives up.
const HALVINGS_MAX: usize = 30;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// The largest component that the gradient may have at the end.
    pub(super) gradient_max: f64,
    /// The most steps.
    pub(super) n_steps_max: usize,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    /// The point.
    pub(super) point: Vec<f64>,
    /// The largest component of the gradient there.
    pub(super) gradient_max: f64,
    /// Steps taken.
    pub(super) n_steps: usize,
}

/// A function's value and gradient at a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slope {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
}

/// Walks down from a point.
pub(super) fn minimise(
    start: Vec<f64>,
    limits: Limits,
    function: &mut dyn FnMut(&[f64]) -> Slope,
) -> Minimum {
    let mut point = start;
    let mut here = function(&point);
    let mut curvature = Curvature::default();
    let mut n_steps = 0;
    while limits.gradient_max < largest(&here.gradient) && n_steps < limits.n_steps_max {
        let direction = curvature.direction(&here.gradient);
        let Some((next_point, next)) = descend(&point, &here, &direction, function) else {
            // The estimate may be spoiled by noise; from a clean one, steepest descent is tried once.
            if curvature.is_empty() {
                break;
            }
            curvature = Curvature::default();
            continue;
        };
        curvature.learn(&point, &here.gradient, &next_point, &next.gradient);
        point = next_point;
        here = next;
        n_steps += 1;
    }
    Minimum {
        gradient_max: largest(&here.gradient),
        point,
        n_steps,
    }
}

/// The first of ever shorter steps that goes down enough.
fn descend(
    point: &[f64],
    here: &Slope,
    direction: &[f64],
    function: &mut dyn FnMut(&[f64]) -> Slope,
) -> Option<(Vec<f64>, Slope)> {
    let promised = product(&here.gradient, direction);
    if 0.0 <= promised {
        return None;
    }
    let mut step = 1.0;
    for _ in 0..HALVINGS_MAX {
        let next_point: Vec<f64> = point
            .iter()
            .zip(direction)
            .map(|(value, along)| value + step * along)
            .collect();
        let next = function(&next_point);
        if next.value < here.value + SUFFICIENT_DECREASE * step * promised {
            return Some((next_point, next));
        }
        step /= 2.0;
    }
    None
}

/// What the last steps tell of the second derivative.
#[derive(Debug, Default)]
struct Curvature {
    steps: std::collections::VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    moved: Vec<f64>,
    gradient_change: Vec<f64>,
    /// 1 over their product.
    inverse: f64,
}

impl Curvature {
    fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The two-loop recursion. Before the first step, a step of length 1 downhill.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let Some(latest) = self.steps.back() else {
            let length = product(gradient, gradient).sqrt().max(1.0);
            scale_by(&mut direction, 1.0 / length);
            return direction;
        };
        let mut weights = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter().rev() {
            let weight = step.inverse * product(&step.moved, &direction);
            add(&mut direction, -weight, &step.gradient_change);
            weights.push(weight);
        }
        let change = product(&latest.gradient_change, &latest.gradient_change);
        let scale = 1.0 / (latest.inverse * change);
        scale_by(&mut direction, scale);
        for (step, weight) in self.steps.iter().zip(weights.iter().rev()) {
            let other = step.inverse * product(&step.gradient_change, &direction);
            add(&mut direction, weight - other, &step.moved);
        }
        direction
    }

    fn learn(&mut self, from: &[f64], gradient: &[f64], to: &[f64], next_gradient: &[f64]) {
        let moved = difference(to, from);
        let gradient_change = difference(next_gradient, gradient);
        let product = product(&moved, &gradient_change);
        // A step along which the gradient did not grow says nothing of a convex function but noise.
        if product <= f64::EPSILON {
            return;
        }
        if self.steps.len() == MEMORY {
            self.steps.pop_front();
        }
        self.steps.push_back(Step {
            moved,
            gradient_change,
            inverse: 1.0 / product,
        });
    }
}

fn product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

fn difference(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], weight: f64, what: &[f64]) {
    for (value, other) in to.iter_mut().zip(what) {
        *value += weight * other;
    }
}

fn scale_by(values: &mut [f64], factor: f64) {
    for value in values {
        *value *= factor;
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        gradient_max: 1e-9,
        n_steps_max: 200,
    };

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        // Steep in one direction, flat in the other: plain descent would take thousands of steps.
        let mut function = |point: &[f64]| Slope {
            value: 500.0 * (point[0] - 1.0).powi(2) + 0.5 * (point[1] + 2.0).powi(2),
            gradient: vec![1000.0 * (point[0] - 1.0), point[1] + 2.0],
        };
        let found = minimise(vec![0.0, 0.0], LIMITS, &mut function);
        assert!((found.point[0] - 1.0).abs() < 1e-9 && (found.point[1] + 2.0).abs() < 1e-8);
        assert!(found.n_steps < 30);
    }

    #[test]
    fn a_function_without_a_lower_point_ends_the_search_where_it_began() {
        let mut function = |_: &[f64]| Slope {
            value: 1.0,
            gradient: vec![1.0],
        };
        let found = minimise(vec![5.0], LIMITS, &mut function);
        assert_eq!((found.n_steps, found.point), (0, vec![5.0]));
    }

    #[test]
    fn the_number_of_steps_is_bounded() {
        let limits = Limits {
            n_steps_max: 2,
            ..LIMITS
        };
        let mut function = |point: &[f64]| Slope {
            value: point[0].powi(4) + point[0],
            gradient: vec![4.0 * point[0].powi(3) + 1.0],
        };
        assert_eq!(minimise(vec![3.0], limits, &mut function).n_steps, 2);
    }
}
