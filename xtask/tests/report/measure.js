// Runs beside the page, which is in a frame as wide as the window to look at: says where everything is, as JSON.
frame.onload = () => {
  const page = frame.contentDocument;
  frame.height = Math.min(page.documentElement.scrollHeight, 8000);
  // In pixels of the picture, without strokes.
  const box = (element) => {
    const { x, y, width, height } = element.getBBox();
    const matrix = element.getScreenCTM();
    const from = new DOMPoint(x, y).matrixTransform(matrix);
    const to = new DOMPoint(x + width, y + height).matrixTransform(matrix);
    return { left: from.x, top: from.y, right: to.x, bottom: to.y };
  };
  const all = (root, selector) => [...root.querySelectorAll(selector)];
  const charts = all(page, 'svg[data-scale]').map((svg) => ({
    id: svg.id,
    scale: svg.dataset.scale,
    ticks: all(svg, '[data-tick]').map((tick) => ({ value: +tick.dataset.tick, x: box(tick).left })),
    rows: all(svg, '.row').map((row) => {
      const mark = row.querySelector('.mark');
      const whisker = row.querySelector('.whisker, .span');
      return {
        target: row.dataset.target,
        mark: mark && { ...box(mark), kind: mark.tagName, classes: mark.getAttribute('class'), fill: getComputedStyle(mark).fill },
        whisker: whisker && box(whisker),
      };
    }),
  }));
  // Where a curve is at a share of the answers.
  const curves = all(page, 'svg.curves').map((svg) => {
    const curve = svg.querySelector('.curve[data-target]');
    const matrix = curve.getScreenCTM();
    const at = (x) => {
      let [low, high] = [0, curve.getTotalLength()];
      for (let step = 0; step < 40; step += 1) {
        const middle = (low + high) / 2;
        if (curve.getPointAtLength(middle).matrixTransform(matrix).x < x) low = middle; else high = middle;
      }
      return curve.getPointAtLength(low).matrixTransform(matrix).y;
    };
    const rare = all(svg, '[data-rare]').map((tick) => ({ value: +tick.dataset.rare, x: box(tick).left, y: at(box(tick).left) }));
    return { id: svg.id, target: curve.dataset.target, rare, late: all(svg, '[data-late]').map((tick) => ({ value: +tick.dataset.late, y: box(tick).top })) };
  });
  // Text that's outside of its chart isn't seen.
  const cut = all(page, 'svg.chart text').filter((text) => {
    const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
    return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5 || inner.top < outer.top - 0.5 || inner.bottom > outer.bottom + 0.5;
  });
  // Names and numbers of a row that run into each other can't be read.
  const touching = all(page, 'svg .row').filter((row) => {
    const texts = all(row, 'text').map((text) => text.getBoundingClientRect());
    return texts.some((one) => texts.some((other) => one !== other && one.left < other.left && one.right > other.left));
  });
  document.getElementById('measured').textContent = JSON.stringify({
    dark: frame.contentWindow.matchMedia('(prefers-color-scheme: dark)').matches,
    width: page.documentElement.scrollWidth,
    background: getComputedStyle(page.body).backgroundColor,
    text: getComputedStyle(page.body).color,
    cut: cut.map((text) => text.textContent),
    touching: touching.map((row) => row.dataset.target),
    charts,
    curves,
  });
};
