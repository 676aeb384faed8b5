// A gauge for an angle: how far it is from the best that is known, and from what no one can exceed.

const TOP = 30; // CSS pixels above the bar, for a label
const BAR = 18;
export const GAUGE_HEIGHT = TOP + BAR + 32;

/**
 * Draw the gauge over 0 .. 180 degrees. `marks` are {angle, text, below}: a line across the bar with
 * its words above or below it.
 */
export function paintGauge(context, width, ratio, angle, best, marks, colours) {
  const at = (degrees) => (degrees / 180) * (width - 2 * ratio) + ratio;
  const [top, height] = [TOP * ratio, BAR * ratio];
  context.clearRect(0, 0, width, GAUGE_HEIGHT * ratio);
  context.fillStyle = colours.line;
  context.fillRect(0, top, width, height);
  context.fillStyle = colours.right;
  context.fillRect(0, top, at(angle), height);
  if (best - angle > 0.01) paintLoss(context, at(angle), at(best), top, height, ratio, colours);
  context.font = `${14 * ratio}px ${colours.family}`;
  context.textAlign = "left";
  for (const { angle: place, text, below } of marks) {
    const x = at(place);
    context.fillStyle = colours.ink;
    context.fillRect(x - ratio, below ? top : top - 6 * ratio, 2 * ratio, height + 6 * ratio);
    const half = context.measureText(text).width / 2;
    const left = Math.min(Math.max(x - half, 0), width - 2 * half);
    context.textBaseline = below ? "top" : "bottom";
    context.fillText(text, left, below ? top + height + 9 * ratio : top - 8 * ratio);
  }
}

/** What is missing to the best: stripes, so that colour is not alone in telling it. */
function paintLoss(context, from, to, top, height, ratio, colours) {
  context.save();
  context.beginPath();
  context.rect(from, top, to - from, height);
  context.clip();
  context.strokeStyle = colours.wrong;
  context.lineWidth = 3 * ratio;
  context.beginPath();
  for (let x = from - height; x < to; x += 8 * ratio) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}
