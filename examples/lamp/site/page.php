<?php
// The order book. Included by index.php.
[$db, $why] = database();
$orders = [];
$counts = [];
$source = '';
if ($db !== null) {
    try {
        $orders = orders($db);
        [$counts, $source] = counts($db);
    } catch (Throwable $e) {
        $why = $e->getMessage();
        $db = null;
    }
}
$total = array_sum($counts);
$h = fn (string|int $s): string => htmlspecialchars((string) $s);
// Each server has its own colour, so that a reload shows who answers now.
$hue = fn (string $name): int => crc32($name) % 360;
header('Content-Type: text/html; charset=utf-8');
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The farm shop</title>
<style>
  :root { color-scheme: light dark; --line: light-dark(#ddd6c8, #3d4038); --card: light-dark(#fff, #23261f); --dim: light-dark(#6f6a5e, #a5a899); }
  * { box-sizing: border-box }
  body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f7f3ea, #191b16); color: light-dark(#2a2a24, #ecebe2) }
  main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem }
  header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; justify-content: space-between }
  h1 { margin: 0; font: 600 2rem/1.2 Georgia, serif }
  .by { padding: .15rem .7rem; border-radius: 99px; color: #fff; font: 600 .9rem/1.6 ui-monospace, monospace }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; margin-top: 1.25rem }
  form { display: flex; flex-wrap: wrap; gap: .6rem }
  input { flex: 1 1 10rem; min-width: 0; padding: .55rem .75rem; border: 1px solid var(--line); border-radius: 8px; background: transparent; color: inherit; font: inherit }
  button { padding: .55rem 1.2rem; border: 0; border-radius: 8px; background: #4c7a34; color: #fff; font: inherit; font-weight: 600; cursor: pointer }
  table { width: 100%; border-collapse: collapse }
  td { padding: .45rem .5rem .45rem 0; border-top: 1px solid var(--line) }
  tr:first-child td { border-top: 0 }
  td:last-child { text-align: right }
  small, .dim { color: var(--dim) }
  .bar { display: flex; height: .6rem; border-radius: 99px; overflow: hidden; margin-bottom: .5rem }
</style>
<main>
  <header>
    <h1>The farm shop</h1>
    <span class="by" style="background: hsl(<?= $hue(server()) ?> 45% 40%)">served by <?= $h(server()) ?></span>
  </header>
  <form class="card" method="post" action="/">
    <input name="customer" placeholder="Your name" maxlength="60" aria-label="Your name">
    <input name="item" placeholder="Six eggs and a pumpkin" maxlength="60" aria-label="Order">
    <button>Order</button>
  </form>
<?php if ($db === null): ?>
  <p class="card">The order book is closed for the moment. <small>Database: <?= $h($why) ?></small></p>
<?php else: ?>
  <section class="card">
<?php if ($total > 0): ?>
    <div class="bar"><?php foreach ($counts as $name => $n): ?><i style="flex: <?= $n ?>; background: hsl(<?= $hue($name) ?> 45% 50%)" title="<?= $h($name) ?>: <?= $n ?>"></i><?php endforeach ?></div>
<?php endif ?>
    <small><?= $total ?> order<?= $total === 1 ? '' : 's' ?>, counted by <?= $h($source) ?></small>
    <table>
<?php foreach ($orders as $o): ?>
      <tr><td><b><?= $h($o['item']) ?></b> <span class="dim">for <?= $h($o['customer']) ?></span></td><td><small><?= $h($o['taken_at']) ?> by <?= $h($o['taken_by']) ?></small></td></tr>
<?php endforeach ?>
    </table>
  </section>
<?php endif ?>
  <p><small>Reload, and another server may answer. Load it: <a href="/work?ms=200">/work?ms=200</a>. Its health: <a href="/healthz">/healthz</a>.</small></p>
</main>
</html>
