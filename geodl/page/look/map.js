"use strict";
/* A map on one canvas. Places are pixels of the raster: column and row, from its upper left corner.
   Pictures come from the page; where `data.tiles` names a server, tiles of it are drawn over them. */
(() => {
  const NODATA = 255, TILE = 256, KEPT = 400;
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const box = document.getElementById("map");
  const canvas = box.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const readout = box.querySelector(".readout");
  const scalebar = box.querySelector(".scale span");
  const aspect = data.metres ? data.metres[1] / data.metres[0] : 1;
  const view = { x: 0, y: 0, scale: 1 }; // upper left corner in pixels; screen pixels for one across
  const size = { width: 1, height: 1 };
  const find = (selector) => box.querySelector(selector);
  const isOn = (layer) => { const switched = find(`[data-layer="${layer}"]`); return !switched || switched.checked; };
  const classes = new Map(data.classes.map((c) => [c.value, c]));
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  let pending = false, fitted = true, shown = null;

  /* Values of the reduced map: class in red, percent of confidence in green. */
  function valuesOf(image) {
    const sheet = document.createElement("canvas");
    sheet.width = image.naturalWidth; sheet.height = image.naturalHeight;
    const brush = sheet.getContext("2d", { willReadFrequently: true });
    brush.drawImage(image, 0, 0);
    return brush.getImageData(0, 0, sheet.width, sheet.height);
  }
  function painted(values, colorOf) {
    const sheet = document.createElement("canvas");
    sheet.width = values.width; sheet.height = values.height;
    const out = new ImageData(values.width, values.height);
    for (let at = 0; at < out.data.length; at += 4) {
      const color = colorOf(values.data[at], values.data[at + 1]);
      if (color) { out.data.set(color, at); out.data[at + 3] = 255; }
    }
    sheet.getContext("2d").putImageData(out, 0, 0);
    return sheet;
  }
  function rampColors() {
    const stops = data.ramp.map(rgb);
    return Array.from({ length: 101 }, (_, percent) => {
      const at = (percent / 100) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      return stops[low].map((value, k) => Math.round(value + (at - low) * (stops[low + 1][k] - value)));
    });
  }
  const image = document.getElementById("values");
  const values = image ? valuesOf(image) : null;
  const sheets = {};
  if (values) {
    const palette = new Map(data.classes.filter((c) => !c.clear).map((c) => [c.value, rgb(c.color)]));
    sheets.class = painted(values, (value) => palette.get(value));
    const ramp = rampColors();
    sheets.confidence = painted(values, (_, percent) => ramp[percent]);
  }
  for (const base of data.bases) sheets[base.id] = document.getElementById(`base-${base.id}`);
  const vectors = data.vectors.map((layer) => ({
    ...layer, paths: layer.paths.map(([value, path]) => [value, new Path2D(path)]),
  }));

  /* Tiles: level 0 holds every pixel, each further one half as many in a direction. */
  const tiles = new Map();
  function tile(layer, level, column, row) {
    const url = `${data.tiles.url}/${layer}/${level}/${column}/${row}.png`;
    let found = tiles.get(url);
    if (found) { tiles.delete(url); tiles.set(url, found); return found; } // the latest used stay longest
    found = new Image();
    found.onload = draw;
    found.src = url;
    tiles.set(url, found);
    if (tiles.size > KEPT) tiles.delete(tiles.keys().next().value);
    return found;
  }
  function drawTiles(layer) {
    const ratio = window.devicePixelRatio || 1;
    const level = Math.max(0, Math.min(data.tiles.levels - 1, Math.floor(Math.log2(1 / (view.scale * ratio)) + 0.3)));
    const side = TILE * 2 ** level;
    const last = { column: Math.ceil(data.width / side), row: Math.ceil(data.height / side) };
    const right = view.x + size.width / view.scale, bottom = view.y + size.height / (view.scale * aspect);
    for (let row = Math.max(0, Math.floor(view.y / side)); row < Math.min(last.row, bottom / side); row++) {
      for (let column = Math.max(0, Math.floor(view.x / side)); column < Math.min(last.column, right / side); column++) {
        const found = tile(layer, level, column, row);
        if (found.complete && found.naturalWidth) pen.drawImage(found, column * side, row * side, side, side);
      }
    }
  }
  function drawRaster(layer, opacity) {
    pen.save();
    pen.globalAlpha = opacity;
    const tiled = data.tiles && data.tiles.layers.includes(layer);
    const coarse = view.scale * (window.devicePixelRatio || 1);
    pen.imageSmoothingEnabled = coarse * (tiled ? 1 : data.factor) < 1;
    const sheet = sheets[layer];
    // Below half-clear tiles the reduced picture would shine through.
    if (sheet && !(tiled && (opacity < 1 || !data.bases.some((base) => base.id === layer)))) {
      const width = sheet.naturalWidth || sheet.width, height = sheet.naturalHeight || sheet.height;
      pen.drawImage(sheet, 0, 0, width * data.factor, height * data.factor);
    }
    if (tiled) drawTiles(layer);
    pen.restore();
  }
  function drawVector(layer) {
    const dot = layer.kind === "point" ? 5 : 1, unit = layer.steps / view.scale;
    pen.save();
    pen.scale(1 / layer.steps, 1 / layer.steps);
    pen.lineJoin = "round"; pen.lineCap = "round";
    const casing = layer.kind === "polygon" ? [["#000", 2.2, 0.55], [null, 1.1, 1]] : [["#222", 4 * dot ** 0.5, 0.9], [null, 2.2 * dot ** 0.5, 1]];
    for (const [color, width, opacity] of casing) {
      pen.globalAlpha = opacity; pen.lineWidth = width * unit;
      for (const [value, path] of layer.paths) {
        const c = classes.get(value);
        pen.strokeStyle = color || (layer.kind === "line" ? "#ffe08a" : layer.kind === "point" ? "#fff" : data.classes.length > 2 && c ? lighter(c.color) : "#fff");
        pen.stroke(path);
      }
    }
    pen.restore();
  }
  const lighter = (hex) => `rgb(${rgb(hex).map((value) => Math.round(value + 0.45 * (255 - value))).join(" ")})`;

  function paint(side) {
    const two = data.bases.length === 2, swiping = side !== "all";
    const chosen = two ? (swiping ? (side === "left" ? "before" : "after") : find("input[name=base]:checked").value) : "scene";
    if (two || swiping || isOn("scene")) drawRaster(chosen, 1);
    if (side === "left" && !two) return;
    if (side !== "left" && isOn("class")) drawRaster("class", find("#opacity").value / 100);
    if (side !== "left" && data.confidence && isOn("confidence")) drawRaster("confidence", 0.85);
    vectors.forEach((layer, number) => { if (isOn(`vector-${number}`)) drawVector(layer); });
  }
  const split = () => (size.width * find("#divider").value) / 100;
  function drawNow() {
    pending = false;
    const ratio = window.devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    const swiping = find("#swipe").checked;
    for (const [side, from, to] of swiping ? [["left", 0, split()], ["right", split(), size.width]] : [["all", 0, size.width]]) {
      pen.save();
      pen.beginPath(); pen.rect(from, 0, to - from, size.height); pen.clip();
      pen.scale(view.scale, view.scale * aspect); pen.translate(-view.x, -view.y);
      pen.beginPath(); pen.rect(0, 0, data.width, data.height); pen.clip();
      paint(side);
      pen.restore();
    }
    if (swiping) drawDivider(split());
    if (shown && shown.keyboard) drawCross();
    drawScale();
  }
  function draw() { if (!pending) { pending = true; requestAnimationFrame(drawNow); } }
  function drawDivider(at) {
    pen.fillStyle = "#fff"; pen.fillRect(at - 1, 0, 2, size.height);
    pen.beginPath(); pen.arc(at, size.height / 2, 13, 0, 7); pen.fill();
    pen.strokeStyle = "#222"; pen.lineWidth = 2; pen.beginPath();
    for (const way of [-1, 1]) { pen.moveTo(at + 4 * way, size.height / 2 - 5); pen.lineTo(at + 8 * way, size.height / 2); pen.lineTo(at + 4 * way, size.height / 2 + 5); }
    pen.stroke();
  }
  function drawCross() {
    const x = size.width / 2, y = size.height / 2;
    for (const [color, width] of [["#000", 4], ["#fff", 2]]) {
      pen.strokeStyle = color; pen.lineWidth = width; pen.beginPath();
      pen.moveTo(x - 9, y); pen.lineTo(x + 9, y); pen.moveTo(x, y - 9); pen.lineTo(x, y + 9); pen.stroke();
    }
  }
  function drawScale() {
    const unit = data.metres ? data.metres[0] / view.scale : 1 / view.scale;
    const most = 110 * unit, step = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((k) => k * step).find((value) => value <= most);
    scalebar.style.width = `${length / unit}px`;
    scalebar.textContent = !data.metres ? `${length} px` : length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  /* Moving */
  const smallest = () => 0.5 * Math.min(size.width / data.width, size.height / (data.height * aspect));
  function fit() {
    view.scale = Math.min(size.width / data.width, size.height / (data.height * aspect));
    view.x = (data.width - size.width / view.scale) / 2;
    view.y = (data.height - size.height / (view.scale * aspect)) / 2;
    fitted = true; draw();
  }
  function keepInSight() { // the middle of the map never leaves the raster
    const across = size.width / view.scale / 2, down = size.height / (view.scale * aspect) / 2;
    view.x = Math.max(-across, Math.min(data.width - across, view.x));
    view.y = Math.max(-down, Math.min(data.height - down, view.y));
    fitted = false; draw();
  }
  function zoom(by, at = { x: size.width / 2, y: size.height / 2 }) {
    const before = place(at);
    view.scale = Math.max(smallest(), Math.min(40, view.scale * by));
    view.x = before.column - at.x / view.scale;
    view.y = before.row - at.y / (view.scale * aspect);
    keepInSight();
  }
  const place = (at) => ({ column: view.x + at.x / view.scale, row: view.y + at.y / (view.scale * aspect) });
  function move(right, down) { view.x -= right / view.scale; view.y -= down / (view.scale * aspect); keepInSight(); }

  /* What lies under the pointer, or in the middle for the keyboard */
  function told(column, row, value, percent) {
    const [a, b, c, d, e, f] = data.transform;
    const x = a * (column + 0.5) + b * (row + 0.5) + c, y = d * (column + 0.5) + e * (row + 0.5) + f;
    const digits = Math.abs(a) + Math.abs(b) < 0.01 ? 5 : Math.abs(a) + Math.abs(b) < 1 ? 1 : 0;
    const name = value === NODATA ? "no data" : classes.has(value) ? classes.get(value).name : String(value);
    const sure = percent !== NODATA && value !== NODATA ? `, ${percent} % sure` : "";
    readout.textContent = `${name}${sure} · ${data.crs ? "x" : "column"} ${x.toFixed(digits)}, ${data.crs ? "y" : "row"} ${y.toFixed(digits)}`;
  }
  let asked = 0;
  function tell(at, keyboard = false) {
    const spot = place(at), column = Math.floor(spot.column), row = Math.floor(spot.row);
    if (column < 0 || row < 0 || column >= data.width || row >= data.height) { readout.textContent = ""; shown = { keyboard }; return; }
    shown = { keyboard };
    if (data.tiles) {
      const number = ++asked;
      clearTimeout(tell.timer);
      tell.timer = setTimeout(async () => {
        const answer = await fetch(`${data.tiles.url}/at/${column}/${row}`);
        if (answer.ok && number === asked) { const found = await answer.json(); told(column, row, found.class, found.confidence); }
      }, 80);
    } else if (values) {
      const at4 = 4 * (Math.floor(row / data.factor) * values.width + Math.floor(column / data.factor));
      told(column, row, values.data[at4], values.data[at4 + 1]);
    }
  }
  const middle = () => { tell({ x: size.width / 2, y: size.height / 2 }, true); draw(); };

  const pointers = new Map();
  let dragged = null;
  const where = (event) => { const corner = canvas.getBoundingClientRect(); return { x: event.clientX - corner.left, y: event.clientY - corner.top }; };
  canvas.addEventListener("pointerdown", (event) => {
    const at = where(event);
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at);
    dragged = find("#swipe").checked && Math.abs(at.x - split()) < 16 ? "divider" : "map";
    tell(at);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = where(event), before = pointers.get(event.pointerId);
    if (!before) { tell(at); if (shown && shown.keyboard) draw(); return; }
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      zoom(Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y)), other);
    } else if (dragged === "divider") { find("#divider").value = (100 * at.x) / size.width; draw(); }
    else move(at.x - before.x, at.y - before.y);
    pointers.set(event.pointerId, at);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { if (!pointers.size) readout.textContent = ""; });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return; // the page scrolls until the map is clicked
    event.preventDefault();
    zoom(2 ** (-Math.max(-120, Math.min(120, event.deltaY)) / 240), where(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2, where(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = 60, acts = {
      ArrowLeft: () => move(step, 0), ArrowRight: () => move(-step, 0), ArrowUp: () => move(0, step), ArrowDown: () => move(0, -step),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit,
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
    middle();
  });
  canvas.addEventListener("blur", () => { shown = null; draw(); });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) ({ in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit })[button.dataset.do]();
  });
  box.addEventListener("input", () => {
    find("#divider").disabled = !find("#swipe").checked;
    const ramp = find(".ramp");
    if (ramp) ramp.hidden = !isOn("confidence");
    draw();
  });
  new ResizeObserver(() => {
    const ratio = window.devicePixelRatio || 1, before = { ...size };
    size.width = canvas.clientWidth || 1; size.height = canvas.clientHeight || 1;
    canvas.width = Math.round(size.width * ratio); canvas.height = Math.round(size.height * ratio);
    if (fitted || before.width === 1) fit(); else drawNow();
  }).observe(canvas);
  const printed = () => { box.dataset.drawn = "true"; if (fitted) fit(); drawNow(); };
  window.addEventListener("beforeprint", printed);
  box.classList.add("ready");
  // Reloaded pages keep the state of their controls.
  box.dispatchEvent(new Event("input"));
})();
