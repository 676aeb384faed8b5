"""What a canvas shows, in a few letters: to be compared, not to be looked at."""

#: JavaScript: a canvas to a fingerprint of its size and its pixels. A PNG of each, made and sent to
#: Python hundreds of times, took longer than all that the tests look at.
FINGERPRINT = """(canvas) => {
  const { width, height } = canvas;
  const context = width && height && canvas.getContext("2d");
  if (!context) return canvas.toDataURL();
  const words = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  let [one, other] = [0x811c9dc5, 0x9e3779b9];
  for (let k = 0; k < words.length; k += 1) {
    one = Math.imul(one ^ words[k], 0x01000193);
    other = Math.imul((other ^ words[k]) + 1, 0x85ebca6b);
    other ^= other >>> 13;
  }
  return [width, height, one >>> 0, other >>> 0].join(" ");
}"""
