/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The curve as a picture: axes with units, the knee, what cannot be resolved in grey. */
#include <errno.h>

#include "base/err.h"
#include "export/curve.h"

/* In pixels. */
#define LEFT 64
#define TOP 56
#define WIDTH 640
#define HEIGHT 320
#define MARKS 5	      /* of the axis of sizes, about */
#define GREY_TEXT 190 /* that the words in the grey part take */

static double x_of(const struct cvhrc_curve *curve, double bytes)
{
	double share = curve->extent_bytes ? bytes / (double)curve->extent_bytes : 0;

	return LEFT + WIDTH * (share < 1 ? share : 1);
}

static double y_of(double ratio)
{
	return TOP + HEIGHT * (1 - ratio);
}

/* A name, which may hold anything: err_quote() leaves what XML minds. */
static void put_name(const char *name, FILE *out)
{
	char quoted[ERR_QUOTED];

	for (const char *at = err_quote(name, quoted); *at; at++)
		switch (*at) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*at, out);
		}
}

/* The step between marks: 1, 2 or 5 times a power of two or ten would look odd in MiB, so powers of two. */
static double step_of(const struct cvhrc_curve *curve)
{
	double step = 4096;

	while ((double)curve->extent_bytes / step > MARKS * 1.6)
		step *= 2;
	return step;
}

static void put_frame(const struct cvhrc_curve *curve, FILE *out)
{
	char text[CURVE_SIZE_TEXT];
	double step = step_of(curve);

	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"#eee\"/>\n", LEFT,
		TOP, x_of(curve, (double)curve->resolution_bytes) - LEFT, HEIGHT);
	if (x_of(curve, (double)curve->resolution_bytes) - LEFT > GREY_TEXT)
		fprintf(out,
			"<text x=\"%d\" y=\"%d\" fill=\"#777\">touched per epoch: not resolved"
			"</text>\n",
			LEFT + 6, TOP + 16);
	for (int i = 0; i <= 5; i++) {
		double y = y_of(i / 5.0);

		fprintf(out,
			"<path d=\"M%d %.1fh%d\" stroke=\"#ddd\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d %%</text>\n",
			LEFT, y, WIDTH, LEFT - 8, y + 4, i * 20);
	}
	for (double size = 0; size <= (double)curve->extent_bytes; size += step)
		fprintf(out,
			"<path d=\"M%.1f %dv6\" stroke=\"#444\"/>"
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			x_of(curve, size), TOP + HEIGHT, x_of(curve, size), TOP + HEIGHT + 22,
			size > 0 ? curve_size_text(size, text) : "0");
	fprintf(out, "<path d=\"M%d %dv%dh%d\" fill=\"none\" stroke=\"#444\"/>\n", LEFT, TOP,
		HEIGHT, WIDTH);
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">memory</text>\n",
		LEFT + WIDTH / 2, TOP + HEIGHT + 44);
	fprintf(out,
		"<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">hit ratio"
		"</text>\n",
		TOP + HEIGHT / 2);
}

static void put_line(const struct cvhrc_curve *curve, FILE *out)
{
	fputs("<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" points=\"", out);
	for (uint32_t i = 0; i < curve->npoints; i++)
		fprintf(out, "%.1f,%.1f ", x_of(curve, (double)curve->points[i].size_bytes),
			y_of(curve->points[i].hit_ratio));
	fputs("\"/>\n", out);
}

/* The words stand on the side where there is room. */
static void put_knee(const struct cvhrc_curve *curve, FILE *out)
{
	char text[CURVE_SIZE_TEXT];
	double x = x_of(curve, (double)curve->knee_bytes);
	double ratio = cvhrc_hit_ratio(curve, curve->knee_bytes);
	bool right = x < LEFT + WIDTH * 0.7;

	fprintf(out,
		"<path d=\"M%.1f %dv%d\" stroke=\"#c30\" stroke-dasharray=\"5 4\"/>"
		"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#c30\"/>\n",
		x, TOP, HEIGHT, x, y_of(ratio));
	fprintf(out,
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" fill=\"#c30\">knee %s%s</text>\n",
		right ? x + 8 : x - 8, TOP + HEIGHT - 12, right ? "start" : "end",
		curve->knee_below_resolution ? "≤ " : "",
		curve_size_text((double)curve->knee_bytes, text));
}

static void put_needs(const struct cvhrc_curve *curve, FILE *out)
{
	static const char *const names[CVHRC_SHARES] = { "90 %", "95 %", "99 %" };

	for (int i = 0; i < CVHRC_SHARES; i++)
		fprintf(out,
			"<g><title>need for %s of the hits</title>"
			"<path d=\"M%.1f %dv-8\" stroke=\"#080\" stroke-width=\"2\"/></g>\n",
			names[i], x_of(curve, (double)curve->need_bytes[i]), TOP + HEIGHT);
}

static void put_title(const struct curve_report *report, FILE *out)
{
	const struct cvhrc_curve *curve = report->curve;
	char p90[CURVE_SIZE_TEXT], p95[CURVE_SIZE_TEXT], p99[CURVE_SIZE_TEXT];

	fprintf(out, "<text x=\"%d\" y=\"22\" font-size=\"16\">", LEFT);
	put_name(report->group, out);
	fprintf(out,
		"</text>\n<text x=\"%d\" y=\"42\" fill=\"#555\">need for 90 / 95 / 99 %% of the "
		"hits: "
		"%s / %s / %s; error of the hit ratio %.2f %%; %.0f s</text>\n",
		LEFT, curve_size_text((double)curve->need_bytes[CVHRC_P90], p90),
		curve_size_text((double)curve->need_bytes[CVHRC_P95], p95),
		curve_size_text((double)curve->need_bytes[CVHRC_P99], p99), curve->error * 100,
		report->seconds);
}

int curve_svg(const struct curve_report *report, FILE *out)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		LEFT + WIDTH + 48, TOP + HEIGHT + 60);
	put_title(report, out);
	put_frame(report->curve, out);
	put_needs(report->curve, out);
	put_line(report->curve, out);
	put_knee(report->curve, out);
	fputs("</svg>\n", out);
	return ferror(out) ? -EIO : 0;
}
