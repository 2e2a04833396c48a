// The programs that draw the points: one vertex is one row.

export const VERTEX = `#version 300 es
in vec2 start;
in vec2 end;
in float code;
in float emphasis;
uniform vec2 centre;
uniform vec2 factor;
uniform float progress;
uniform float size;
uniform float opacity;
uniform float faint;
uniform float none;
uniform sampler2D colours;
out vec4 colour;
out float radius;
void main() {
  vec2 place = (mix(start, end, progress) - centre) * factor;
  gl_Position = vec4(place, 0.0, 1.0);
  bool unlabelled = code == none;
  float chosen = emphasis > 1.5 ? 1.0 : 0.0;
  radius = 0.5 * size * (unlabelled ? 0.8 : 1.0) + chosen;
  gl_PointSize = 2.0 * radius + 1.0;
  float alpha = opacity * (unlabelled ? 0.55 : 1.0) * (emphasis < 0.5 ? faint : 1.0);
  alpha = chosen > 0.0 ? max(alpha, 0.9) : alpha;
  colour = vec4(texelFetch(colours, ivec2(int(code), 0), 0).rgb, alpha);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour;
in float radius;
uniform float ring;
uniform vec3 background;
out vec4 pixel;
void main() {
  float at = length(gl_PointCoord - 0.5) * (2.0 * radius + 1.0);
  float inside = clamp(radius + 0.5 - at, 0.0, 1.0);
  float edge = ring * clamp(at - (radius - 1.0), 0.0, 1.0);
  float alpha = inside * colour.a;
  pixel = vec4(mix(colour.rgb, background, edge) * alpha, alpha);
}`;
