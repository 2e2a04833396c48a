// The points on the graphics card: positions, codes of colours, and which are drawn in what order.
import { rgb } from "d3-color";
import { FRAGMENT, VERTEX } from "./shaders.js";

const UNIFORMS = [
  "centre", "factor", "progress", "size", "opacity", "faint", "none", "colours", "ring", "background",
];
const ATTRIBUTES = ["start", "end", "code", "emphasis"];

export class Points {
  /** Returns null where there is no WebGL. @param {HTMLCanvasElement} canvas */
  static create(canvas, n) {
    const gl = canvas.getContext("webgl2", { antialias: false, depth: false, alpha: true });
    return gl && new Points(gl, n);
  }

  constructor(gl, n) {
    this.gl = gl;
    this.drawn = 0;
    this.program = linked(gl);
    this.uniforms = Object.fromEntries(
      UNIFORMS.map((name) => [name, gl.getUniformLocation(this.program, name)]),
    );
    this.buffers = Object.fromEntries(ATTRIBUTES.map((name) => [name, gl.createBuffer()]));
    gl.useProgram(this.program);
    this.emphasize(new Uint8Array(n).fill(1));
    this.order = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Where points are and where they go. @param {Float32Array} start @param {Float32Array} end */
  place(start, end) {
    this.#attribute("start", start, 2, this.gl.FLOAT);
    this.#attribute("end", end, 2, this.gl.FLOAT);
  }

  /** Codes of colours, the last of which is that of rows without a value. */
  colour(codes, colours) {
    const { gl, uniforms } = this;
    this.#attribute("code", codes, 1, gl.UNSIGNED_BYTE);
    const pixels = new Uint8Array(256 * 4).fill(255);
    colours.forEach((colour, k) => pixels.set(channels(colour), 4 * k));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.uniform1f(uniforms.none, colours.length - 1);
  }

  /** 0 faint, 1 usual, 2 selected, for every row. @param {Uint8Array} emphasis */
  emphasize(emphasis) {
    this.#attribute("emphasis", emphasis, 1, this.gl.UNSIGNED_BYTE);
  }

  /** The rows that are drawn, the last on top. @param {Uint32Array} rows */
  show(rows) {
    const { gl } = this;
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, rows, gl.DYNAMIC_DRAW);
    this.drawn = rows.length;
  }

  /**
   * Draws the points.
   * @param {import("./view.js").View} view
   * @param {{progress: number, size: number, opacity: number, faint: number, background: string}} style
   *   size in CSS pixels
   */
  draw(view, style) {
    const { gl, uniforms } = this;
    const { width, height, scale } = view;
    const ratio = gl.canvas.width / width;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniforms.centre, ...view.toPlane(width / 2, height / 2));
    gl.uniform2f(uniforms.factor, (2 * scale) / width, (2 * scale) / height);
    gl.uniform1f(uniforms.progress, style.progress);
    gl.uniform1f(uniforms.size, style.size * ratio);
    gl.uniform1f(uniforms.opacity, style.opacity);
    gl.uniform1f(uniforms.faint, style.faint);
    // Small points have no room for a border.
    gl.uniform1f(uniforms.ring, Math.max(0, Math.min(0.75, (style.size - 5) / 4)));
    gl.uniform3fv(uniforms.background, channels(style.background).map((value) => value / 255));
    gl.drawElements(gl.POINTS, this.drawn, gl.UNSIGNED_INT, 0);
  }

  #attribute(name, values, size, type) {
    const { gl } = this;
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, false, 0, 0);
  }
}

function channels(colour) {
  const { r, g, b } = rgb(colour);
  return [r, g, b];
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`the points cannot be drawn: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
