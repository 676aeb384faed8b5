// Picking points out of a map: by dragging a rectangle, by clicks, and by keys.

/**
 * Listen to the canvas of a map. `view` has {map, plane, ratio, brush}; `host` has ready(),
 * visible(), pointed(), place(n), and point(n), pick(places), toggle(n), paint() to act.
 */
export function listenForBrush(view, host) {
  const { map } = view;
  const near = () => 12 * view.ratio;
  const at = (event) => [event.offsetX * view.ratio, event.offsetY * view.ratio];
  let from = null;

  map.addEventListener("pointerdown", (event) => {
    if (event.button || !host.ready()) return;
    map.setPointerCapture(event.pointerId);
    from = at(event);
  });
  map.addEventListener("pointermove", (event) => {
    if (!host.ready()) return;
    const [x, y] = at(event);
    if (!from) {
      host.point(nearestPoint(view, host, x, y, near()));
      return;
    }
    const [width, height] = [Math.abs(x - from[0]), Math.abs(y - from[1])];
    if (!view.brush && Math.hypot(width, height) < 4 * view.ratio) return; // a click may tremble
    view.brush = { x: Math.min(x, from[0]), y: Math.min(y, from[1]), width, height };
    host.pick(pointsInside(view, host));
  });
  map.addEventListener("pointerup", (event) => {
    if (!from) return;
    const dragged = Boolean(view.brush);
    from = view.brush = null;
    if (dragged) {
      host.paint();
      return;
    }
    const n = nearestPoint(view, host, ...at(event), near());
    if (n >= 0) host.toggle(n);
    else host.pick([]);
  });
  map.addEventListener("pointercancel", () => {
    from = view.brush = null;
    host.paint();
  });
  map.addEventListener("pointerleave", () => { if (!from) host.point(-1); });
  map.addEventListener("blur", () => host.point(-1));
  map.addEventListener("keydown", (event) => {
    if (!host.ready()) return;
    if (event.key.startsWith("Arrow")) host.point(nextPoint(view, host, event.key));
    else if (event.key === " " && host.pointed() >= 0) host.toggle(host.pointed());
    else if (event.key === "Escape") host.pick([]);
    else return;
    event.preventDefault();
  });
}

function pixelOf(view, host, n) {
  const [x, y] = host.place(n);
  return [view.plane.x(x), view.plane.y(y)];
}

/** The point that is nearest to a pixel, or -1 if none is within reach. */
function nearestPoint(view, host, x, y, reach = Infinity) {
  let [best, least] = [-1, reach];
  for (const n of host.visible()) {
    const [px, py] = pixelOf(view, host, n);
    const distance = Math.hypot(px - x, py - y);
    if (distance < least) [best, least] = [n, distance];
  }
  return best;
}

/** The next point in the direction of an arrow: near, and not far aside. */
function nextPoint(view, host, key) {
  const here = host.pointed();
  if (here < 0) return nearestPoint(view, host, view.map.width / 2, view.map.height / 2);
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const [x, y] = pixelOf(view, host, here);
  let [best, least] = [here, Infinity];
  for (const n of host.visible()) {
    const [px, py] = pixelOf(view, host, n);
    const ahead = (px - x) * dx + (py - y) * dy;
    const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
    if (n !== here && ahead > 0 && ahead + 2 * aside < least) [best, least] = [n, ahead + 2 * aside];
  }
  return best;
}

function pointsInside(view, host) {
  const { x, y, width, height } = view.brush;
  return host.visible().filter((n) => {
    const [px, py] = pixelOf(view, host, n);
    return px >= x && px <= x + width && py >= y && py <= y + height;
  });
}
