<?php
// One file, four pages: the order book (/), placing an order (POST /), a health check (/healthz) and burning
// processor time (/work?ms=200) to make load. It serves, saying what it lacks, while the database or the cache is away.
require __DIR__ . '/shop.php';

$path = parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH);
header('X-Served-By: ' . server());
header('Cache-Control: no-store');

switch ($path) {
    case '/healthz':
        healthz();
        break;
    case '/work':
        work();
        break;
    case '/':
        if ($_SERVER['REQUEST_METHOD'] === 'POST') {
            place_order();
        } else {
            require __DIR__ . '/page.php';
        }
        break;
    default:
        http_response_code(404);
        header('Content-Type: text/plain');
        echo "no such page\n";
}

/** Healthy means that this server can do its work, so that the database is asked too. */
function healthz(): void
{
    header('Content-Type: text/plain');
    [$db, $why] = database();
    if ($db === null) {
        http_response_code(503);
        echo "database: $why\n";
        return;
    }
    echo 'ok ' . server() . "\n";
}

/** Burns processor time, at most two seconds of it whatever is asked for. */
function work(): void
{
    $ms = max(0, min(2000, (int) ($_GET['ms'] ?? 200)));
    $until = hrtime(true) + $ms * 1_000_000;
    $rounds = 0;
    for ($digest = ''; hrtime(true) < $until; $rounds++) {
        $digest = hash('sha256', $digest . $rounds);
    }
    header('Content-Type: text/plain');
    echo server() . " worked $ms ms, $rounds rounds\n";
}

function place_order(): void
{
    [$db, $why] = database();
    try {
        if ($db === null) {
            throw new RuntimeException($why);
        }
        take_order($db, words('customer', 'somebody'), words('item', 'a surprise'));
        header('Location: /', true, 303);
    } catch (Throwable $e) {
        http_response_code(503);
        header('Content-Type: text/plain');
        echo 'The order was not taken: database: ' . $e->getMessage() . "\n";
    }
}

/** A posted field, no longer than its column. */
function words(string $field, string $default): string
{
    preg_match('/^.{0,60}/us', trim((string) ($_POST[$field] ?? '')), $found);
    return ($found[0] ?? '') === '' ? $default : $found[0];
}
