// Angles between directions, as mmc_viz/centers/geometry.py measures them; and how points move on a
// circle or a sphere. A point is an array of coordinates of any length.

export const DEGREE = Math.PI / 180;

export function unitOf(u) {
  const length = Math.hypot(...u);
  return u.map((value) => value / length);
}

/** Angle of two unit vectors in degrees; exact near 0 and 180 too, where an arc cosine is not. */
function angleOf(u, v) {
  let [difference, total] = [0, 0]; // squared
  for (let k = 0; k < u.length; k++) {
    difference += (u[k] - v[k]) ** 2;
    total += (u[k] + v[k]) ** 2;
  }
  return (2 * Math.atan2(Math.sqrt(difference), Math.sqrt(total))) / DEGREE;
}

/**
 * All pairs of points: {smallest, pair, tight, largest, angles}. `tight` are the pairs within
 * `tolerance` degrees of the smallest angle, `pair` is the first that differs from it by no more than
 * rounding, `largest` is the largest cosine.
 */
export function measureAngles(points, tolerance = 0.01) {
  const angles = points.map(() => points.map(() => 0));
  const pairs = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      pairs.push([i, j]);
      angles[i][j] = angles[j][i] = angleOf(points[i], points[j]);
    }
  }
  let pair = pairs[0];
  for (const [i, j] of pairs) if (angles[i][j] < angles[pair[0]][pair[1]] - 1e-3) pair = [i, j];
  const smallest = Math.min(...pairs.map(([i, j]) => angles[i][j]));
  return {
    angles,
    pair,
    smallest,
    largest: Math.cos(smallest * DEGREE),
    tight: pairs.filter(([i, j]) => angles[i][j] <= smallest + tolerance),
  };
}

/** Turn a point of the plane by degrees, counterclockwise. */
export function turn2([x, y], degrees) {
  const [c, s] = [Math.cos(degrees * DEGREE), Math.sin(degrees * DEGREE)];
  return [c * x - s * y, s * x + c * y];
}

/** Points of the shorter great circle from one point to another, both included. */
export function arcBetween(u, v, steps = 24) {
  const angle = angleOf(u, v) * DEGREE;
  let across = v.map((value, k) => value - Math.cos(angle) * u[k]);
  if (Math.hypot(...across) < 1e-6) { // opposite points: every way is as long
    const flat = u.map(Math.abs).indexOf(Math.min(...u.map(Math.abs)));
    across = u.map((value, k) => (k === flat ? 1 : 0) - u[flat] * value);
  }
  across = unitOf(across);
  return Array.from({ length: steps + 1 }, (_, step) => {
    const at = (angle * step) / steps;
    return u.map((value, k) => Math.cos(at) * value + Math.sin(at) * across[k]);
  });
}
