"use strict";
// One image, what each model makes of it, and where they disagree.
const get = id => document.getElementById(id);
const MOST_SHOWN = 1200; // pixels of the longer side on the page; masks are kept whole
const state = { models: [], classes: [], visible: [], picture: null, masks: [], ms: [], size: [0, 0] };
const canvases = [];
let turn = 0;

const fail = text => { get("error").textContent = text; get("error").hidden = !text; };
const say = text => { get("status").textContent = text; };

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "x-segdistill": "1" } });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

function shownSize() {
  const [width, height] = state.size;
  const scale = Math.min(1, MOST_SHOWN / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

// Calls color(index, out, at) for each pixel shown, with the index of its pixel in the masks.
function paint(canvas, opacity, color) {
  const [width, height] = shownSize();
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(state.picture, 0, 0, width, height);
  if (!color) return;
  const layer = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * state.size[1] / height) * state.size[0];
    for (let x = 0; x < width; x++, at += 4) {
      color(row + Math.floor((x + 0.5) * state.size[0] / width), pixels.data, at);
    }
  }
  layer.getContext("2d").putImageData(pixels, 0, 0);
  context.globalAlpha = opacity;
  context.drawImage(layer, 0, 0);
  context.globalAlpha = 1;
}

const classColor = mask => (index, out, at) => {
  const id = mask[index];
  if (!state.visible[id]) return;
  const [red, green, blue] = state.classes[id].color;
  out[at] = red; out[at + 1] = green; out[at + 2] = blue; out[at + 3] = 255;
};

const differ = index => state.masks.some(mask => mask[index] !== state.masks[0][index]);

function differenceColor(index, out, at) {
  const orange = differ(index);
  out[at] = orange ? 255 : 20; out[at + 1] = orange ? 106 : 20; out[at + 2] = orange ? 0 : 24;
  out[at + 3] = 255;
}

function drawModel(canvas, model) {
  const mask = state.masks[model];
  paint(canvas, Number(get("opacity").value), mask && classColor(mask));
}

function draw() {
  if (!state.picture) return;
  paint(canvases[0], 0, null);
  state.models.forEach((_, model) => drawModel(canvases[model + 1], model));
  if (state.models.length > 1 && state.masks.filter(Boolean).length === state.models.length) {
    paint(canvases[state.models.length + 1], 0.85, differenceColor);
  }
  if (state.models.length > 1) {
    drawModel(get("below"), Number(get("left").value));
    drawModel(get("above"), Number(get("right").value));
    moveLine();
  }
}

const moveLine = () => {
  get("above").style.clipPath = `inset(0 0 0 ${100 * get("line").value}%)`;
};

function caption(number, text) {
  canvases[number].parentElement.querySelector("figcaption span:last-child").textContent = text;
}

function addPanel(name) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const words = document.createElement("figcaption");
  words.append(document.createElement("span"), document.createElement("span"));
  words.firstChild.textContent = name;
  figure.append(canvas, words);
  get("panels").append(figure);
  canvases.push(canvas);
}

function addClass(one, id) {
  const button = document.createElement("button");
  const patch = document.createElement("canvas");
  patch.width = patch.height = 1;
  const context = patch.getContext("2d");
  context.fillStyle = `rgb(${one.color.join(" ")})`;
  context.fillRect(0, 0, 1, 1);
  button.append(patch, one.name);
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    state.visible[id] = !state.visible[id];
    button.setAttribute("aria-pressed", String(state.visible[id]));
    draw();
  });
  get("legend").append(button);
}

async function show(file) {
  const mine = ++turn;
  fail("");
  say("Reading the image …");
  try {
    const told = await (await ask("images", { method: "POST", body: file })).json();
    const picture = await createImageBitmap(await (await ask(`images/${told.number}`)).blob());
    if (mine !== turn) return;
    Object.assign(state, { picture, size: [told.width, told.height], masks: [], ms: [] });
    document.querySelector("main").hidden = false;
    for (let model = 0; model <= state.models.length + 1; model++) {
      if (canvases[model]) caption(model, "");
    }
    caption(0, `${told.width}×${told.height}`);
    draw();
    for (const [model, name] of state.models.entries()) {
      say(`${name} …`);
      const answer = await ask(`images/${told.number}/masks/${model}`);
      const mask = new Uint8Array(await answer.arrayBuffer());
      if (mine !== turn) return;
      state.masks[model] = mask;
      caption(model + 1, `${Number(answer.headers.get("x-milliseconds")).toFixed(1)} ms`);
      draw();
    }
    if (state.models.length > 1) {
      let different = 0;
      for (let index = 0; index < state.masks[0].length; index++) different += differ(index);
      const share = 100 * different / state.masks[0].length;
      caption(state.models.length + 1, `${share.toFixed(1)} % of the pixels`);
    }
    say("Done; times are of this one pass.");
    document.documentElement.dataset.shown = mine;
  } catch (error) {
    if (mine !== turn) return;
    fail(error.message);
    say("");
  }
}

async function begin() {
  const about = await (await ask("about")).json();
  Object.assign(state, about, { visible: about.classes.map(() => true) });
  addPanel("input");
  about.models.forEach(addPanel);
  if (about.models.length > 1) addPanel("where they disagree");
  about.classes.forEach(addClass);
  for (const id of ["left", "right"]) {
    about.models.forEach((name, model) => get(id).add(new Option(name, model)));
  }
  get("right").value = about.models.length - 1;
  get("compare").hidden = about.models.length < 2;
  for (const id of ["opacity", "left", "right"]) get(id).addEventListener("input", draw);
  get("line").addEventListener("input", moveLine);
  get("file").addEventListener("change", () => get("file").files[0] && show(get("file").files[0]));
  addEventListener("dragover", event => { event.preventDefault(); get("drop").classList.add("over"); });
  addEventListener("dragleave", () => get("drop").classList.remove("over"));
  addEventListener("drop", event => {
    event.preventDefault();
    get("drop").classList.remove("over");
    if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]);
  });
  addEventListener("paste", event => event.clipboardData.files[0] && show(event.clipboardData.files[0]));
  document.documentElement.dataset.ready = "true";
}

begin().catch(error => fail(error.message));
